// Saving what is seen as a PNG file: the large shape alone, or all shapes with their names.

const COLUMNS = 4;
const CELL = [720, 450]; // pixels of one shape in a picture of all
const LABEL = 52; // pixels below each

export function saveCanvas(canvas, name) {
  canvas.toBlob((blob) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = `${fileName(name)}.png`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }, "image/png");
}

// Letters, digits, dots and dashes of a name: nothing that a file system could take for more.
function fileName(name) {
  return name.normalize("NFKC").replace(/[^\p{L}\p{N}.-]+/gu, "_").replace(/^[._]+/, "").slice(0, 80) || "shape";
}

// drawOne(n, width, height) draws shape n and returns the canvas it is in.
export function pictureOfAll(shapes, drawOne) {
  const [width, height] = CELL;
  const columns = Math.min(COLUMNS, shapes.length);
  const sheet = document.createElement("canvas");
  sheet.width = columns * width;
  sheet.height = Math.ceil(shapes.length / columns) * (height + LABEL);
  const style = getComputedStyle(document.documentElement);
  const context = sheet.getContext("2d");
  context.fillStyle = style.getPropertyValue("--card");
  context.fillRect(0, 0, sheet.width, sheet.height);
  context.font = "26px system-ui, sans-serif";
  context.textAlign = "center";
  context.fillStyle = style.getPropertyValue("--text");
  shapes.forEach((about, n) => {
    const [x, y] = [(n % columns) * width, Math.floor(n / columns) * (height + LABEL)];
    context.drawImage(drawOne(n, width, height), x, y);
    const fact = about.facts.length ? `   ${about.facts[0].join(" ")}` : "";
    context.fillText(about.name + fact, x + width / 2, y + height + 20, width - 20);
  });
  return sheet;
}
