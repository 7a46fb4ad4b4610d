// Builds the browser bundle into the Python package, byte for byte the same wherever it runs.
// `node build.mjs --check` builds in memory and fails if the committed files differ.
import { readFile, readdir, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const rooms = join(here, "..", "src", "attnflow");
const ALLOWED = new Set(["ISC", "BSD-3-Clause", "BSD-2-Clause", "MIT", "Apache-2.0"]);

/** Every package that the bundle holds, with its version, licence and the licence's text. */
async function bundled(inputs) {
  const names = new Set();
  for (const path of Object.keys(inputs)) {
    const found = /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path);
    if (found) names.add(found[1]);
  }
  const packages = [];
  for (const name of [...names].sort()) {
    const folder = join(here, "node_modules", name);
    const about = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
    if (!ALLOWED.has(about.license)) throw new Error(`${name}: licence ${about.license} is not one of ${[...ALLOWED]}`);
    const file = (await readdir(folder)).find((entry) => /^licen[cs]e/i.test(entry));
    if (!file) throw new Error(`${name} comes without the text of its licence`);
    packages.push({ name, version: about.version, license: about.license, text: await readFile(join(folder, file), "utf8") });
  }
  return packages;
}

const common = {
  absWorkingDir: here,
  bundle: true,
  minify: true,
  target: ["es2022"],
  charset: "ascii",
  legalComments: "none",
  write: false,
  metafile: true,
};
const style = await build({ ...common, entryPoints: ["src/style.css"] });
const css = style.outputFiles[0].text;
const script = await build({
  ...common,
  entryPoints: ["src/attnflow.ts"],
  format: "esm",
  loader: { ".css": "text" },
  plugins: [
    {
      // The script carries its own style sheet, minified, so that one file is enough in a notebook.
      name: "style",
      setup: (setup) => setup.onLoad({ filter: /style\.css$/ }, () => ({ contents: css, loader: "text" })),
    },
  ],
});
// The web app's own page takes the view's bundle from the server when it has something to show.
const page = await build({
  ...common,
  entryPoints: [{ in: "src/app/main.ts", out: "app" }, { in: "src/app/app.css", out: "app" }],
  outdir: "out",
  format: "esm",
});
const app = Object.fromEntries(page.outputFiles.map(({ path, text }) => [basename(path), text]));
const packages = await bundled(script.metafile.inputs);
const listed = packages.map(({ name, version, license }) => `${name} ${version} (${license})`).join(", ");
const banner = `/*! attnflow, Apache-2.0. Holds ${listed}; their licences: attnflow.licenses.txt */\n`;
const js = banner + script.outputFiles[0].text;
if (/<\/script|<!--/i.test(js)) throw new Error("The bundle holds text that would end or hide an inline script.");
const files = {
  "view/assets/attnflow.js": js,
  "view/assets/attnflow.css": banner + css,
  "serve/assets/app.js": app["app.js"],
  "serve/assets/app.css": app["app.css"],
  "view/assets/attnflow.licenses.txt":
    "What attnflow.js holds beside attnflow's own code, each under its own licence.\n" +
    packages.map(({ name, version, text }) => `\n${"=".repeat(80)}\n${name} ${version}\n\n${text.trim()}\n`).join(""),
};

if (process.argv.includes("--check")) {
  for (const [name, content] of Object.entries(files)) {
    if ((await readFile(join(rooms, name), "utf8").catch(() => "")) !== content) {
      console.error(`${name} is not what the sources build: run \`make web\` and commit the result.`);
      process.exitCode = 1;
    }
  }
} else {
  for (const [name, content] of Object.entries(files)) {
    await writeFile(join(rooms, name), content);
    console.log(`${name}: ${(Buffer.byteLength(content) / 1024).toFixed(1)} KiB`);
  }
}
