// Colours of the shapes, and the legend that explains them.

export const COLOURINGS = ["plain", "height", "normal", "distance"]; // their places are the numbers in the shader

// Five colours from low to high: viridis for heights; from pale to red for distances.
const SCALES = {
  height: ["#440154", "#3b528b", "#21918c", "#5ec962", "#fde725"],
  distance: ["#ece7dc", "#f6d08f", "#ee9a5c", "#d9574f", "#9c1f5c"],
};

// Of the line along a cut: one that the colours of the shape have not.
export function cutColourOf(colouring) {
  return rgb(colouring === "distance" ? "#2a7fd4" : "#d9622b");
}

// [r, g, b] of 0 to 1 from "#rrggbb".
export function rgb(text) {
  return [1, 3, 5].map((at) => parseInt(text.slice(at, at + 2), 16) / 255);
}

// A length with three decimals, and a real minus sign.
export function decimal(value) {
  return value.toFixed(3).replace("-", "\u2212");
}

export function scaleOf(colouring) {
  return (SCALES[colouring] ?? SCALES.height).map(rgb);
}

export function showLegend(element, colouring, heights, largestDistance) {
  element.hidden = colouring === "plain";
  element.replaceChildren();
  const add = (className, text = "", background = "", parent = element) => {
    const part = parent.appendChild(document.createElement("span"));
    part.className = className;
    part.textContent = text;
    part.style.background = background;
    return part;
  };
  if (colouring === "normal") {
    add("", "The surface faces");
    for (const [colour, text] of [["#d8846f", "a side"], ["#7fb581", "up or down"], ["#7391cc", "the front or the rear"]]) {
      const pair = add("dotted");
      add("dot", "", colour, pair);
      add("", text, "", pair);
    }
  } else if (colouring !== "plain") {
    const [low, high] = colouring === "height" ? heights : [0, largestDistance];
    add("", colouring === "height" ? "Height, mesh units" : "Distance to the nearest training shape, mesh units");
    add("", decimal(low));
    add("bar", "", `linear-gradient(to right, ${SCALES[colouring].join(", ")})`);
    add("", `${colouring === "distance" ? "≥ " : ""}${decimal(high)}`);
  }
}
