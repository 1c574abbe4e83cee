// The small pictures of all shapes: a grid, or a strip below the large one. Dragging over the grid turns them together.

const TURN = 0.008; // radians for each pixel of a drag
const SLACK = 6; // pixels that a press may move and still be a click

// One card for each shape. open(n) is called when it is chosen. Returns [{ button, canvas }].
export function makeCards(list, shapes, open) {
  return shapes.map((about, n) => {
    const item = list.appendChild(document.createElement("li"));
    const button = item.appendChild(document.createElement("button"));
    button.type = "button";
    button.className = "card";
    const canvas = button.appendChild(document.createElement("canvas"));
    const under = button.appendChild(document.createElement("span"));
    under.className = "under";
    addText(under, "name", about.name);
    if (about.facts.length) {
      const [label, value] = about.facts[0];
      addText(under, "value", `${label} ${value}`);
    }
    button.addEventListener("click", () => open(n));
    return { button, canvas };
  });
}

function addText(parent, className, text) {
  const part = parent.appendChild(document.createElement("span"));
  part.className = className;
  part.textContent = text; // never as markup: names come from files
}

// turn(around, upwards): radians; active(): whether dragging turns now. A drag is no click.
export function turnByDragging(list, turn, active) {
  let from = null;
  let dragged = false;
  list.addEventListener("pointerdown", (event) => {
    from = active() && event.isPrimary && event.button === 0 ? [event.clientX, event.clientY] : null;
    dragged = false;
  });
  list.addEventListener("pointermove", (event) => {
    if (from === null || !event.isPrimary) return;
    const [dx, dy] = [event.clientX - from[0], event.clientY - from[1]];
    if (!dragged && Math.hypot(dx, dy) < SLACK) return;
    if (!dragged) list.setPointerCapture(event.pointerId);
    dragged = true;
    from = [event.clientX, event.clientY];
    turn(-TURN * dx, TURN * dy);
  });
  for (const end of ["pointerup", "pointercancel"]) list.addEventListener(end, () => (from = null));
  list.addEventListener("dragstart", (event) => event.preventDefault());
  list.addEventListener(
    "click",
    (event) => {
      if (dragged) event.stopPropagation();
      dragged = false;
    },
    true,
  );
}
