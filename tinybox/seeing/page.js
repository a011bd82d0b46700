// What the scripts of the pages share: find an element, make one, and write a number of bytes as docker does.
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
