// What the user chooses: points or mesh, colours, the cut, light or dark.

import { decimal, rgb } from "./colours.js";

const AXES = ["x", "y", "z"];
const STEPS = 1000; // of the slider from one side of the box to the other

export class Controls {
  // facts: of the whole page; box: of all shapes; changed(): called after every change.
  constructor(form, facts, box, changed) {
    this.form = form;
    this.box = box;
    this.sign = 1;
    this.place = form.querySelector("#place");
    this.changed = changed;
    hideChoice(form.querySelector("#kinds"), !facts.shapes.some((about) => about.faces));
    hideChoice(form.querySelector("#distances"), facts.largestDistance === null);
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("input", (event) => this.input(event.target));
    form.querySelector("#flip").addEventListener("click", () => this.flip());
    form.hidden = false;
    this.show();
  }

  get kind() {
    return this.form.elements.kind.value;
  }

  get colouring() {
    return this.form.elements.colour.value;
  }

  // { axis, at, sign }: what has sign * place[axis] <= sign * at is kept; axis null: all is.
  get cut() {
    const axis = AXES.indexOf(this.form.elements.axis.value);
    if (axis < 0) return { axis: null, at: 0, sign: 1 };
    const [low, high] = this.box.map((corner) => corner[axis]);
    return { axis, at: low + (this.place.value / STEPS) * (high - low), sign: this.sign };
  }

  // side(axis): on which side of the shape the camera is, 1 or -1; that half is cut away at first.
  setSide(side) {
    this.side = side;
  }

  input(element) {
    if (element.name === "axis" && this.cut.axis !== null) {
      this.place.value = STEPS / 2;
      this.sign = this.side ? this.side(this.cut.axis) : 1;
    }
    this.show();
    this.changed();
  }

  flip() {
    this.sign = -this.sign;
    this.changed();
  }

  // Moves the cut by steps of 1 % of the box.
  move(steps) {
    if (this.cut.axis === null) return;
    this.place.value = Number(this.place.value) + (steps * STEPS) / 100;
    this.show();
    this.changed();
  }

  show() {
    const { axis, at } = this.cut;
    this.form.querySelector("#cutting").hidden = axis === null;
    if (axis !== null) this.form.querySelector("#place-shown").textContent = `${AXES[axis]} = ${decimal(at)}`;
  }
}

// Hides a choice, and rounds the corners of those that stay.
function hideChoice(element, hidden) {
  element.hidden = hidden;
  const shown = [...element.parentElement.querySelectorAll(":scope > label")].filter((label) => !label.hidden);
  shown.forEach((label, n) => {
    label.classList.toggle("first-shown", n === 0);
    label.classList.toggle("last-shown", n === shown.length - 1);
  });
}

// The system's choice of light or dark, until the button is pressed. changed() follows each change.
export function themeSwitch(button, changed) {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const set = (dark) => {
    root.dataset.theme = dark ? "dark" : "light";
    changed();
  };
  system.addEventListener("change", () => set(system.matches));
  button.addEventListener("click", () => set(root.dataset.theme !== "dark"));
  set(system.matches);
}

// The colour of the cards, [r, g, b] of 0 to 1: what shapes are drawn on.
export function backgroundColour() {
  return rgb(getComputedStyle(document.documentElement).getPropertyValue("--card").trim());
}
