// The part of a notebook that stands around the widget: it keeps models, makes views, and hands both to anywidget's own
// front end, which is loaded before as `define(["@jupyter-widgets/base"], factory)`.

class DOMWidgetModel {
  constructor(state) {
    this.state = { ...state };
    this.told = [];
    this.sent = [];
    this.widget_manager = {};
    this.initialize(state);
  }
  initialize() {}
  get(name) {
    return this.state[name];
  }
  set(name, value) {
    this.state[name] = value;
    for (const each of [...this.told]) if (each.name === `change:${name}`) each.run();
  }
  save_changes() {
    this.sent.push(structuredClone(this.state.selection));
  }
  send() {}
  on(name, run, context) {
    this.told.push({ name, run, context });
  }
  once(name, run) {
    this.on(name, run);
  }
  off(name, run, context) {
    this.told = this.told.filter(
      (each) => !((name ?? each.name) === each.name && (run ?? each.run) === each.run && (context ?? each.context) === each.context),
    );
  }
}

class DOMWidgetView {
  constructor(model, el) {
    Object.assign(this, { model, el, $el: { empty: () => el.replaceChildren() } });
  }
  remove() {}
}

/** Shows a widget with this state in `el`. */
async function show(factory, state, el) {
  const before = new Set(Object.getOwnPropertyNames(window));
  const { AnyModel, AnyView } = factory({ DOMWidgetModel, DOMWidgetView });
  const model = new AnyModel(state);
  const view = new AnyView(model, el);
  await view.render();
  window.host = {
    told: () => ({
      sent: model.sent,
      globals: Object.getOwnPropertyNames(window).filter((name) => !before.has(name) && name !== "host"),
    }),
    change: (name, value) => model.set(name, value),
    leave: () => view.remove(),
  };
}
