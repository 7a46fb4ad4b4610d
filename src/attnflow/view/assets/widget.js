// The widget: what anywidget calls with the model that Python holds.

export default {
  async render({ model, el }) {
    const { mount } = await load(bundle);
    let view;
    const draw = () => {
      view?.destroy();
      el.replaceChildren();
      const asked = model.get("theme");
      view = mount(el, model.get("payload"), {
        theme: asked === "auto" ? ground(el) : asked,
        onSelect: (selection) => {
          model.set("selection", selection);
          model.save_changes();
        },
      });
    };
    draw();
    model.on("change:payload change:theme", draw);
    return () => {
      model.off("change:payload change:theme", draw);
      view?.destroy();
    };
  },
};
