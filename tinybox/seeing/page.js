// The scripts of the pages share this: elements, numbers of bytes as docker writes them, the timeline and its keys.
const $ = id => document.getElementById(id);

function make(tag, name, ...content) {
  const node = document.createElement(tag);
  if (name) node.className = name;
  node.append(...content.filter(one => one !== ""));
  return node;
}

function bytes(count) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let power = 0;
  while (count >= 1000 && power < units.length - 1) { count /= 1000; power += 1; }
  return `${Number(count.toPrecision(3))} ${units[power]}`;
}

// One lane of the timeline: each of its steps is a button, at the place of the step among all steps.
function fillTrack(track, steps, isMine, nameOf, kindOf, go) {
  steps.forEach((step, number) => {
    if (!isMine(step)) return;
    const button = make("button", kindOf(step));
    button.style.gridColumn = number + 1;
    button.title = `${step.number} ${nameOf(step)}`;
    button.setAttribute("aria-label", button.title);
    button.onclick = () => go(number);
    button.dataset.at = number;
    track.append(button);
  });
  track.style.gridTemplateColumns = `repeat(${steps.length}, minmax(0, 1fr))`;
}

// Let keys go from step to step: placeOf() is the number of the present step, the last one has the number *last*.
function listen(placeOf, last, go, more = {}) {
  addEventListener("keydown", event => {
    const at = placeOf();
    const ways = {ArrowRight: at + 1, ArrowDown: at + 1, PageDown: at + 1, " ": at + 1, ArrowLeft: at - 1, ArrowUp: at - 1, PageUp: at - 1, Home: 0, End: last};
    const way = more[event.key];
    const to = way === undefined ? ways[event.key] : typeof way === "function" ? way(at) : at + way;
    if (to === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    go(to);
  });
}
