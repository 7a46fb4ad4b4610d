// Shows a result in a notebook's output. The bundle is source text here: imported as a module of its own, it
// works alike in every notebook, asks for nothing, and needs no loader.

async function load(source) {
  const address = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  try {
    return await import(address);
  } finally {
    URL.revokeObjectURL(address);
  }
}
