
"use strict";
// Brings the numbers and states of the page up to date every two seconds. Text only: nothing
// that comes from the ring is ever read as markup.
(() => {
  const signs = { up: "●", suspect: "◐", dead: "✕", joining: "◌", recovering: "↻" };
  const body = document.body;
  const map = document.querySelector(".map");
  const byId = (id) => document.getElementById(id);
  const reachable = (state) => state !== "dead" && state !== "joining";

  const put = (place, text) => {
    if (place && place.textContent !== text) place.textContent = text;
  };
  const count = (number) => (number < 0 ? "-" : number.toLocaleString("en-US"));
  const bytes = (size) => {
    if (size < 0) return "-";
    let unit = 0;
    while (size >= 1024 && unit < 4) { size /= 1024; unit += 1; }
    return `${unit ? size.toFixed(1) : size} ${["B", "KB", "MB", "GB", "TB"][unit]}`;
  };

  const choose = (nodes) => {
    map.classList.toggle("choosing", nodes.length > 0);
    for (const arc of map.querySelectorAll(".arc"))
      arc.classList.toggle("chosen", nodes.includes(arc.dataset.node));
  };

  const showNode = (node) => {
    const row = document.querySelector(`tr[data-id="${node.id}"]`);
    const field = (name) => row.querySelector(`[data-field="${name}"]`);
    put(field("state"), `${signs[node.state] || "?"} ${node.state}`);
    field("state").className = `state ${node.state}`;
    put(field("rows"), count(node.rows));
    put(field("disk"), bytes(node.disk_bytes));
    put(field("hints"), count(node.hints));
    put(field("sync"), node.in_sync ? "yes" : node.state === "dead" ? "-" : "not yet");
    for (const arc of map.querySelectorAll(`svg [data-node="${row.dataset.node}"]`))
      arc.classList.toggle("down", !reachable(node.state));
  };

  const showKeyspace = (keyspace) => {
    for (const row of document.querySelectorAll("#keyspaces tr")) {
      if (row.dataset.keyspace !== keyspace.name) continue;
      for (const cell of row.querySelectorAll("[data-level]")) {
        const part = keyspace.levels[cell.dataset.level];
        const some = `◐ ${(part * 100).toFixed(0)} % of keys`;
        put(cell, part >= 1 ? "✓ works" : part > 0 ? some : "✕ no");
        cell.className = part >= 1 ? "works" : part > 0 ? "partly" : "fails";
      }
    }
  };

  const summary = (status) => {
    const down = status.nodes.filter((node) => !reachable(node.state)).length;
    const parts = [down ? `${down} of ${status.nodes.length} nodes down` : "All nodes are up"];
    const lacking = [];
    const least = { TWO: 2, THREE: 3 };
    for (const keyspace of status.keyspaces)
      for (const [name, part] of Object.entries(keyspace.levels))
        if (part < 1 && (least[name] || 1) <= keyspace.replication)
          lacking.push(`${name} in ${keyspace.name}`);
    parts.push(lacking.length ? `not everywhere: ${lacking.join(", ")}` : "every level works");
    if (status.behind.length) parts.push("copies are still being compared or delivered");
    return `${parts.join("; ")}.`;
  };

  const show = (status) => {
    const ids = status.nodes.map((node) => node.id).sort().join(" ");
    const shown = body.dataset.nodes.split(" ").sort().join(" ");
    const keyspaces = document.querySelectorAll("#keyspaces tr").length;
    if (String(status.epoch) !== body.dataset.epoch || ids !== shown
        || keyspaces !== status.keyspaces.length) {
      location.reload();
      return;
    }
    status.nodes.forEach(showNode);
    status.keyspaces.forEach(showKeyspace);
    const up = status.nodes.filter((node) => reachable(node.state)).length;
    put(byId("up-count"), `${up} of ${status.nodes.length}`);
    put(byId("summary"), summary(status));
    const lines = status.behind.length ? status.behind : ["Nothing is known to lack."];
    const list = byId("behind");
    if (lines.join("\n") !== [...list.children].map((line) => line.textContent).join("\n"))
      list.replaceChildren(...lines.map((line) => {
        const item = document.createElement("li");
        item.textContent = line;
        return item;
      }));
    put(byId("next"), status.next_step && `Next: ${status.next_step}`);
  };

  const look = async () => {
    const lost = byId("lost");
    try {
      const reply = await fetch("/status", { signal: AbortSignal.timeout(3000) });
      show(await reply.json());
      put(byId("clock"), `as of ${new Date().toLocaleTimeString()}`);
      lost.hidden = true;
      body.classList.remove("stale");
    } catch {
      put(lost, "This node does not answer; what you see is from before. Its ring may well go "
        + "on: ask another node.");
      lost.hidden = false;
      body.classList.add("stale");
    }
    setTimeout(look, 2000);
  };

  for (const row of document.querySelectorAll("tr[tabindex]")) {
    const over = () => choose([row.dataset.node]);
    const out = () => choose([]);
    row.addEventListener("mouseenter", over);
    row.addEventListener("mouseleave", out);
    row.addEventListener("focus", over);
    row.addEventListener("blur", out);
  }

  document.querySelector("form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const key = byId("key").value;
    const place = byId("found");
    try {
      const reply = await fetch(`/lookup?key=${encodeURIComponent(key)}`);
      const found = await reply.json();
      if (!reply.ok) { put(place, found.message); return; }
      const numbers = found.replicas.map((replica) =>
        document.querySelector(`tr[data-id="${replica.id}"]`).dataset.node);
      put(place, `Token ${found.token}: first copy on node ${numbers[0]}`
        + (numbers.length > 1 ? `, then ${numbers.slice(1).join(", ")}.` : "."));
      choose(numbers);
    } catch {
      put(place, "This node does not answer.");
    }
  });

  setTimeout(look, 2000);
})();
