"use strict";
// The table's filters and order, and the open card, live in the address after "#", so a view can be sent as a link.
(() => {
  const byId = (id) => document.getElementById(id);
  const body = byId("claims").tBodies[0];
  const original = [...body.rows];
  const heads = [...document.querySelectorAll("[data-sort]")];
  const chips = [...document.querySelectorAll(".chip")];
  const cards = new Map([...document.querySelectorAll("details.card")].map((card) => [card.id, card]));
  const fields = [["q", "value", ""], ["area", "value", ""], ["kind", "value", ""], ["surprising", "checked", false]];
  let order = { column: "", descending: false };
  let opened = "";

  const pressed = () => chips.filter((chip) => chip.ariaPressed === "true").map((chip) => chip.dataset.verdict);
  const within = (area, wanted) => !wanted || area === wanted || area.startsWith(wanted + "/");

  function matches(row, words, verdicts) {
    const data = row.dataset;
    return words.every((word) => data.text.includes(word))
      && (!verdicts.length || verdicts.includes(data.verdict))
      && within(data.area, byId("area").value)
      && (!byId("kind").value || data.kind === byId("kind").value)
      && (!byId("surprising").checked || data.surprising === "1");
  }

  function compare(a, b) {
    const [x, y] = [a, b].map((row) => row.querySelector(".c-" + order.column).dataset.key);
    if (x === "" || y === "") return (x === "") - (y === "");
    const difference = isNaN(x) || isNaN(y) ? x.localeCompare(y) : x - y;
    return order.descending ? -difference : difference;
  }

  function show() {
    const words = byId("q").value.toLowerCase().split(/\s+/).filter(Boolean);
    const verdicts = pressed();
    let count = 0;
    for (const row of original) {
      row.hidden = !matches(row, words, verdicts);
      cards.get(row.dataset.id).hidden = row.hidden && row.dataset.id !== opened;
      count += !row.hidden;
    }
    body.append(...(order.column ? [...original].sort(compare) : original));
    for (const head of heads) {
      const direction = order.descending ? "descending" : "ascending";
      head.closest("th").ariaSort = head.dataset.sort === order.column ? direction : "none";
    }
    byId("count").textContent = count + " of " + original.length + " claims shown";
    byId("empty").hidden = count > 0;
    byId("claims").hidden = count === 0;
  }

  function address() {
    const state = new URLSearchParams();
    for (const [id, property] of fields) if (byId(id)[property]) state.set(id, byId(id)[property] === true ? "1" : byId(id).value);
    if (pressed().length) state.set("verdict", pressed().join(","));
    if (order.column) state.set("sort", order.column + (order.descending ? "-down" : ""));
    if (opened) state.set("claim", opened);
    return "#" + state.toString().replaceAll("%2F", "/").replaceAll("%2C", ",");
  }

  function changed() {
    opened = "";
    show();
    history.replaceState(null, "", address());
  }

  function open(id) {
    opened = id;
    show();
    cards.get(id).open = true;
    cards.get(id).scrollIntoView();
    cards.get(id).querySelector("summary").focus({ preventScroll: true });
  }

  function read() {
    const hash = location.hash.slice(1);
    if (hash && !hash.includes("=")) {  // a plain anchor: a card, or a heading that the browser finds itself
      const id = decodeURIComponent(hash);
      if (cards.has(id)) open(id);
      return;
    }
    const state = new URLSearchParams(hash);
    for (const [id, property, none] of fields) byId(id)[property] = none === false ? state.has(id) : state.get(id) ?? none;
    const verdicts = (state.get("verdict") ?? "").split(",");
    for (const chip of chips) chip.ariaPressed = String(verdicts.includes(chip.dataset.verdict));
    const [column, down] = (state.get("sort") ?? "").split("-");
    order = { column: heads.some((head) => head.dataset.sort === column) ? column : "", descending: down === "down" };
    opened = "";
    show();
    if (cards.has(state.get("claim"))) open(state.get("claim"));
  }

  function clear() {
    for (const [id, property, none] of fields) byId(id)[property] = none;
    for (const chip of chips) chip.ariaPressed = "false";
    changed();
    byId("q").focus();
  }

  byId("filters").addEventListener("input", changed);
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  byId("clear").addEventListener("click", clear);
  byId("clear-empty").addEventListener("click", clear);
  for (const chip of chips) chip.addEventListener("click", () => {
    chip.ariaPressed = String(chip.ariaPressed !== "true");
    changed();
  });
  for (const head of heads) head.addEventListener("click", () => {
    const again = order.column === head.dataset.sort;
    order = again && order.descending ? { column: "", descending: false } : { column: head.dataset.sort, descending: again };
    changed();
  });
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href^='#']");
    const id = link && decodeURIComponent(link.getAttribute("href").slice(1));
    if (!cards.has(id) || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    open(id);
    history.pushState(null, "", address());
  });
  addEventListener("popstate", read);
  addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((item) => {
    item.dataset.wasOpen = item.open;
    item.open = true;
  }));
  addEventListener("afterprint", () => document.querySelectorAll("details").forEach((item) => {
    item.open = item.dataset.wasOpen === "true";
  }));
  read();
})();
