"use strict";

const EVERY = 2000;
const guard = document.querySelector('meta[name="sparkopt-guard"]').content;
const trouble = document.getElementById("trouble");
const stale = document.getElementById("stale");
let asking = 0;
let pressed = false;

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value !== null) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null).map((child) => (child instanceof Node ? child : String(child))));
  return made;
}

function number(value) {
  if (value === null) return "–";
  if (typeof value === "string") return value;
  return Number.isInteger(value) ? value.toLocaleString("en") : String(Number(value.toPrecision(6)));
}

function duration(seconds) {
  if (seconds === null) return "";
  if (seconds < 100) return `${seconds.toFixed(1)} s`;
  if (seconds < 6000) return `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}

function percent(share) {
  return `${Math.round(100 * share)} %`;
}

async function act(what, question) {
  if (question && !window.confirm(question)) return;
  trouble.textContent = "";
  try {
    const answer = await fetch("/search/act", {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-Sparkopt-Guard": guard },
      body: JSON.stringify(what),
    });
    if (!answer.ok) trouble.textContent = (await answer.text()).trim() || answer.statusText;
  } catch (error) {
    trouble.textContent = `The dashboard does not answer: ${error.message}`;
  }
  await look();
}

function button(text, what, { question = "", danger = false, disabled = false } = {}) {
  return element("button", { type: "button", class: danger ? "danger" : null, disabled, "data-key": JSON.stringify(what), onclick: () => act(what, question) }, text);
}

function figures(pairs) {
  return element("dl", { class: "figures" }, ...pairs.map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value))));
}

function table(headings, rows) {
  const head = element("tr", {}, ...headings.map(([text, kind]) => element("th", { class: kind || null, scope: "col" }, text)));
  const body = rows.map((cells) =>
    element("tr", {}, ...cells.map((cell, index) => element("td", { "data-label": headings[index][0], class: headings[index][1] || null }, ...[cell].flat()))),
  );
  return element("table", {}, element("thead", {}, head), element("tbody", {}, ...body));
}

function meter(share) {
  return element("span", {}, element("meter", { min: 0, max: 1, value: share }), percent(share));
}

function studies(search, mayAct) {
  const headings = [["study"], ["state"], ["trials", "number"], ["ok", "number"], ["failed", "number"], ["pruned", "number"], ["best", "number"], ["", "act"]];
  const rows = search.studies.map((study) => [
    study.number === null ? study.name : element("a", { href: `/dashboard/studies/${study.number}`, "data-key": `study ${study.number}` }, study.shown),
    study.ended ? "ended" : "goes on",
    number(study.trials.submitted),
    number(study.trials.ok),
    number(study.trials.failed + study.trials.lost),
    number(study.trials.pruned),
    study.best_value === null ? "–" : `${number(study.best_value)} (trial ${study.best_tid})`,
    mayAct && !study.ended && search.state === "following"
      ? [
          button("Stop, finish what runs", { pool: search.pool, do: "finish", study: study.name }, { question: `Stop ${study.name} when its running trials have finished?` }),
          button("Stop now", { pool: search.pool, do: "stop", study: study.name }, { question: `Stop ${study.name} and cancel what runs?`, danger: true }),
        ]
      : [],
  ]);
  return table(headings, rows);
}

function workers(search, mayAct) {
  if (!search.workers.length) return element("p", { class: "empty" }, "No workers.");
  const headings = [["worker"], ["host"], ["state"], ["trial"], ["for", "number"], ["newest value", "number"], ["trials", "number"], ["busy", "number"], ["", "act"]];
  const rows = search.workers.map((worker) => [
    worker.name,
    worker.host,
    element("span", { class: worker.state }, worker.state),
    worker.tid === null ? "" : `${worker.tid} of ${worker.study}`,
    duration(worker.seconds),
    worker.value === null ? "" : `${number(worker.value)} at step ${worker.step}`,
    number(worker.trials),
    meter(worker.busy_share),
    mayAct && worker.tid !== null
      ? button("Cancel", { pool: search.pool, do: "cancel", study: worker.study, tid: worker.tid }, { question: `Cancel trial ${worker.tid} of ${worker.study}?`, danger: true })
      : [],
  ]);
  return table(headings, rows);
}

function controls(search) {
  const limit = element("input", { type: "number", min: 1, max: search.max_parallelism, value: search.parallelism, "aria-label": "trials at once", id: `limit-${search.pool}` });
  const set = element("button", { type: "button", onclick: () => act({ pool: search.pool, do: "parallelism", parallelism: Number(limit.value) }) }, "Set");
  return element(
    "div",
    { class: "acts" },
    search.paused ? button("Resume", { pool: search.pool, do: "resume" }) : button("Pause", { pool: search.pool, do: "pause" }),
    element("label", { for: `limit-${search.pool}` }, "Trials at once"),
    limit,
    set,
  );
}

function pill(search) {
  if (search.state === "following") return search.paused ? ["paused", "paused"] : ["running", "running"];
  return search.state === "closed" ? ["closed", "the pool has closed"] : ["lost", "not followed any more"];
}

function section(search, mayAct) {
  const [kind, words] = pill(search);
  const live = search.state === "following";
  const parts = [
    element("div", { class: "bar" }, element("h2", {}, search.title), element("span", { class: `pill ${kind}` }, words), live && mayAct ? controls(search) : null),
  ];
  if (search.trouble) parts.push(element("p", { class: "trouble" }, search.trouble));
  if (search.trials) {
    const counts = search.trials;
    parts.push(
      figures([
        ["running / at once", `${number(counts.leased)} / ${number(search.parallelism)}`],
        ["waiting", number(counts.pending)],
        ["ok", number(counts.ok)],
        ["failed", number(counts.failed + counts.lost)],
        ["pruned", number(counts.pruned)],
        ["cancelled", number(counts.cancelled)],
        ["trials a second", number(Number(search.trials_per_second.toPrecision(3)))],
        ["utilisation", percent(search.utilisation)],
      ]),
    );
  }
  parts.push(element("h3", {}, "Studies"), studies(search, mayAct));
  if (live) parts.push(element("h3", {}, `Workers (${search.workers.length})`), workers(search, mayAct));
  return element("section", { class: "search" }, ...parts);
}

function show(state) {
  const place = document.getElementById("searches");
  const focused = document.activeElement;
  // Somebody is typing a number, or has a button half pressed: what is there stays until that is done.
  if (pressed || (focused && focused.tagName === "INPUT" && place.contains(focused))) return;
  const key = focused && place.contains(focused) ? focused.dataset.key : undefined;
  const note = document.getElementById("note");
  note.hidden = state.may_act || !state.searches.some((search) => search.state === "following");
  note.textContent = "To pause, stop or cancel, open the link that was printed when the dashboard began: it has the key for that.";
  const sections = state.searches.map((search) => section(search, state.may_act));
  place.replaceChildren(...(sections.length ? sections : [element("p", { class: "empty" }, "No search yet.")]));
  if (key) place.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus();
}

async function look() {
  const turn = ++asking;
  try {
    const answer = await fetch("/search/state");
    if (answer.status === 401) return window.location.reload();
    if (!answer.ok) throw new Error(answer.statusText);
    const state = await answer.json();
    if (turn === asking) show(state);
    stale.hidden = true;
  } catch {
    stale.hidden = false;
  }
}

async function again() {
  if (!document.hidden) await look();
  window.setTimeout(again, EVERY);
}

document.addEventListener("pointerdown", () => (pressed = true));
for (const name of ["pointerup", "pointercancel"]) document.addEventListener(name, () => (pressed = false));
document.addEventListener("visibilitychange", () => document.hidden || look());
again();
