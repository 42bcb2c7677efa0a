"use strict";

// Lines that are kept on the page; the oldest go first.
const MOST = 2000;
// Records of the past that a page begins with, and that "older" brings.
const PAST = 200;

const form = document.getElementById("filter");
const lines = document.getElementById("lines");
const state = document.getElementById("state");
let live = null;
// The oldest record on the page.
let oldest = null;

function wanted(more) {
  const query = new URLSearchParams(more);
  for (const name of ["level", "target", "text"]) {
    const value = form.elements[name].value.trim();
    if (value) query.set(name, value);
  }
  return query;
}

function tell(text, isLost) {
  state.textContent = text;
  state.className = isLost ? "lost" : "";
}

// What others have written is set as text, and never as HTML.
function part(parent, kind, text) {
  const element = document.createElement("span");
  element.className = kind;
  element.textContent = text;
  // Text that is copied has a space there, too.
  parent.append(element, " ");
}

function named(fields) {
  return fields.map(([name, value]) => `${name}=${value}`).join(" ");
}

function line(record) {
  const item = document.createElement("li");
  item.dataset.id = record.id;
  item.className = record.dropped ? `${record.level} dropped` : record.level;
  part(item, "time", record.time);
  part(item, "level", record.level);
  part(item, "source", record.source);
  part(item, "target", record.target);
  part(item, "message", record.message);
  if (record.fields.length) part(item, "field", named(record.fields));
  for (const span of record.spans) part(item, "span", `{${[span.name, named(span.fields)].join(" ").trim()}}`);
  return item;
}

function add(records) {
  const end = document.documentElement;
  const follows = end.scrollHeight - end.scrollTop - end.clientHeight < 40;
  lines.append(...records.map(line));
  while (lines.children.length > MOST) lines.firstElementChild.remove();
  oldest = lines.firstElementChild ? lines.firstElementChild.dataset.id : null;
  if (follows) end.scrollTop = end.scrollHeight;
}

function begin() {
  if (live) live.close();
  lines.replaceChildren();
  oldest = null;
  const query = wanted();
  history.replaceState(null, "", query.size ? `?${query}` : location.pathname);
  tell("connecting");
  query.set("last", PAST);
  const source = new EventSource(`live?${query}`);
  live = source;
  // What an old stream still has to say is of another filter.
  const on = (kind, then) => source.addEventListener(kind, (event) => { if (live === source) then(event); });
  on("records", (event) => add(JSON.parse(event.data)));
  on("back", () => tell("live"));
  on("lost", (event) => tell(`waiting: ${JSON.parse(event.data)}`, true));
  on("refused", (event) => { source.close(); tell(JSON.parse(event.data), true); });
  on("error", () => tell(source.readyState === EventSource.CLOSED ? "refused; change the filter" : "connecting again", true));
}

async function older() {
  const button = document.getElementById("older");
  const before = oldest;
  if (!before) return;
  const room = Math.min(PAST, MOST - lines.children.length);
  if (room <= 0) return tell(`the page is full: ${MOST} lines`, true);
  button.disabled = true;
  try {
    const answer = await fetch(`past?${wanted({ before, last: room })}`);
    if (!answer.ok) throw new Error(await answer.text());
    const past = await answer.json();
    if (oldest === before && past.records.length) {
      lines.prepend(...past.records.map(line));
      oldest = past.records[0].id;
    }
  } catch (error) {
    tell(String(error.message), true);
  }
  button.disabled = false;
}

const asked = new URLSearchParams(location.search);
for (const name of ["level", "target", "text"]) form.elements[name].value = asked.get(name) || "";
let pause = null;
form.addEventListener("input", () => { clearTimeout(pause); pause = setTimeout(begin, 200); });
form.addEventListener("submit", (event) => { event.preventDefault(); begin(); });
document.getElementById("older").addEventListener("click", older);
begin();
