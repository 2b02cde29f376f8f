(() => {
  // The table of all images and the panel that shows one of them. Only the rows of one page are in the document.
  const box = document.querySelector(".images");
  const data = JSON.parse(document.getElementById("images-data").textContent);
  const { names, classes, colors, labels, values, digits, outClass, sprites } = data;
  const n = names.length;
  const perPage = Number(box.dataset.rows);
  const body = box.querySelector("tbody");
  const heads = [...box.querySelectorAll("thead button")];
  const found = box.querySelector(".found");
  const form = box.querySelector("form");
  const field = (id) => document.getElementById(`images-${id}`);
  const make = (tag, text, className) => {
    const made = document.createElement(tag);
    if (text !== undefined) made.textContent = text;
    if (className) made.className = className;
    return made;
  };
  // A name keeps its direction of writing to itself; of a long one the ends are shown, as everywhere on the page.
  const short = (name) => {
    const letters = Array.from(name);
    return letters.length <= 60 ? name : `${letters.slice(0, 29).join("")}…${letters.slice(-30).join("")}`;
  };
  const named = (name, className) => {
    const made = make("bdi", short(name), className);
    if (made.textContent !== name) made.title = name;
    return made;
  };
  const written = (i, key) => {
    const value = values[key][i];
    const text = value.toFixed(digits[key]);
    if (key !== "place") return text.replace("-", "−");
    return Number(text) < 0 ? text.replace("-", "−") : `+${text.replace("-", "")}`;
  };

  // Pictures are tiles of a few sheets, each decoded when first needed.
  const sheets = new Map();
  const sheet = (k) => {
    if (!sheets.has(k)) {
      const image = new Image();
      image.src = sprites.sheets[k];
      sheets.set(k, image.decode().then(() => image));
    }
    return sheets.get(k);
  };
  const draw = (canvas, i, label) => {
    if (!sprites) { canvas.remove(); return; }
    const [[width, height], [cellWidth, cellHeight], [columns, rows]] = [sprites.size, sprites.cell, sprites.grid];
    const each = columns * rows;
    const inSheet = i % each;
    // The last sheet may have fewer columns than the others.
    const across = Math.min(columns, n - (i - inSheet));
    canvas.width = width;
    canvas.height = height;
    canvas.dataset.shows = i;
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", label);
    sheet(Math.floor(i / each)).then((image) => {
      if (Number(canvas.dataset.shows) !== i) return;
      const [x, y] = [(inSheet % across) * cellWidth, Math.floor(inSheet / across) * cellHeight];
      canvas.getContext("2d").drawImage(image, x, y, width, height, 0, 0, width, height);
    });
  };
  const dot = (label) => {
    // With more classes than colours, all have the same, which says nothing.
    if (new Set(colors).size < classes.length) return "";
    const made = make("i", undefined, "dot");
    made.style.setProperty("--dot", colors[label]);
    return made;
  };
  const classCell = (label) => {
    const cell = make("td", undefined, "words");
    cell.append(dot(label), named(classes[label]));
    return cell;
  };

  // Which images, in which order
  let order = Uint32Array.from({ length: n }, (_, i) => i);
  let sortKey = "";
  let down = false;
  let page = 0;
  const lower = names.map((name) => name.toLowerCase());
  const ranks = new Map();
  const rank = (key) => {
    if (key in values) return values[key];
    if (!ranks.has(key)) {
      const collator = new Intl.Collator(undefined, { numeric: true });
      const texts = key === "name" ? names : classes;
      const sorted = texts.map((_, i) => i).sort((a, b) => collator.compare(texts[a], texts[b]) || a - b);
      const place = new Uint32Array(texts.length);
      sorted.forEach((i, k) => { place[i] = k; });
      const of = { name: null, class: labels, outClass }[key];
      ranks.set(key, of ? of.map((label) => place[label]) : place);
    }
    return ranks.get(key);
  };
  const limit = (id, otherwise) => (field(id).value === "" ? otherwise : Number(field(id).value));
  const arrange = () => {
    const text = field("name").value.trim().toLowerCase();
    const label = field("class").value;
    const column = values[field("column").value];
    const [from, to] = [limit("from", -Infinity), limit("to", Infinity)];
    const kept = [];
    for (let i = 0; i < n; i += 1) {
      if ((label === "" || labels[i] === Number(label)) && column[i] >= from && column[i] <= to
        && (!text || lower[i].includes(text))) kept.push(i);
    }
    order = Uint32Array.from(kept);
    if (sortKey) {
      const by = rank(sortKey);
      const sign = down ? -1 : 1;
      order.sort((a, b) => sign * (by[a] - by[b]) || a - b);
    }
    page = 0;
    show();
  };

  const row = (i) => {
    const made = make("tr");
    const head = make("th");
    head.scope = "row";
    const button = make("button");
    button.type = "button";
    button.dataset.image = i;
    button.setAttribute("aria-haspopup", "dialog");
    const canvas = make("canvas");
    button.append(canvas, named(names[i]));
    draw(canvas, i, "");
    if (sprites) canvas.setAttribute("aria-hidden", "true");
    head.append(button);
    made.append(head, classCell(labels[i]));
    for (const { dataset } of heads) {
      if (dataset.key in values) made.append(make("td", written(i, dataset.key)));
    }
    if (classes.length > 2) made.append(classCell(outClass[i]));
    return made;
  };
  const count = (k) => `${k.toLocaleString("en")} ${k === 1 ? "image" : "images"}`;
  const show = () => {
    const pages = Math.max(1, Math.ceil(order.length / perPage));
    page = Math.max(0, Math.min(pages - 1, page));
    body.replaceChildren(...Array.from(order.subarray(page * perPage, (page + 1) * perPage), row));
    found.textContent = order.length === n ? count(n)
      : order.length ? `${order.length.toLocaleString("en")} of ${count(n)}`
        : "No image is like that. “Show all” brings them back.";
    box.querySelector(".page").textContent = `Page ${(page + 1).toLocaleString("en")} of ${pages.toLocaleString("en")}`;
    for (const button of box.querySelectorAll(".pages button")) {
      const back = button.dataset.to === "first" || button.dataset.to === "back";
      button.disabled = back ? page === 0 : page === pages - 1;
    }
  };

  for (const button of heads) {
    button.addEventListener("click", () => {
      const { key } = button.dataset;
      down = sortKey === key && !down;
      sortKey = key;
      for (const each of heads) {
        const way = each === button ? (down ? "descending" : "ascending") : "none";
        each.parentElement.setAttribute("aria-sort", way);
      }
      arrange();
    });
  }
  form.addEventListener("input", arrange);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(arrange));
  box.querySelector(".pages").addEventListener("click", (event) => {
    const to = event.target.dataset.to;
    if (!to) return;
    page = { first: 0, back: page - 1, on: page + 1, last: Infinity }[to];
    show();
    if (event.target.disabled) box.querySelector(".pages button:enabled")?.focus();
  });
  for (const each of box.children) each.hidden = false;
  arrange();

  // One image, large
  const panel = document.querySelector(".panel");
  const title = document.getElementById("panel-title");
  const large = panel.querySelector(".one canvas");
  const facts = panel.querySelector("dl");
  const [same, other] = panel.querySelectorAll(".near");
  let opener = null;
  const about = (i) => `\u2068${names[i]}\u2069, \u2068${classes[labels[i]]}\u2069`;
  const fill = (where, neighbours, similarity) => {
    where.replaceChildren();
    if (neighbours.every((i) => i < 0)) where.append(make("p", "Not looked for, or not among the images shown.", "none"));
    neighbours.forEach((i, k) => {
      if (i < 0) return;
      const button = make("button");
      button.type = "button";
      button.dataset.image = i;
      button.title = about(i);
      const canvas = make("canvas");
      const name = make("span");
      name.append(dot(labels[i]), named(names[i]));
      const nearness = (similarity[k] / 100).toFixed(2);
      const value = make("span", nearness, "value");
      if (classes.length > 2) value.append(", ", named(classes[labels[i]]));
      button.append(canvas, name, value);
      draw(canvas, i, "");
      if (sprites) canvas.setAttribute("aria-hidden", "true");
      where.append(button);
    });
  };
  const open = (i) => {
    title.replaceChildren(named(names[i]));
    if (sprites) {
      const [width, height] = sprites.size;
      const scale = Math.min(288 / Math.max(width, height), 24);
      large.style.width = `${Math.round(width * scale)}px`;
    }
    draw(large, i, about(i));
    facts.replaceChildren();
    const fact = (name, value) => facts.append(make("dt", name), value);
    const own = make("dd");
    own.append(dot(labels[i]), named(classes[labels[i]]));
    fact("Class", own);
    for (const { dataset, textContent } of heads) {
      if (dataset.key in values) fact(textContent, make("dd", written(i, dataset.key)));
    }
    if (classes.length > 2) {
      const rival = make("dd");
      rival.append(dot(outClass[i]), named(classes[outClass[i]]));
      fact("Most like", rival);
    }
    fill(same, data.same[i], data.sameSimilarity[i]);
    fill(other, data.other[i], data.otherSimilarity[i]);
    if (!panel.open) panel.showModal();
    panel.scrollTop = 0;
    title.focus();
  };
  const close = () => panel.close();
  document.addEventListener("click", (event) => {
    const target = event.target.closest("[data-image]");
    if (!target) return;
    if (!panel.open) opener = target;
    open(Number(target.dataset.image));
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.target.matches(".walk[data-image]")) event.target.click();
  });
  panel.querySelector(".close").addEventListener("click", close);
  panel.addEventListener("click", (event) => { if (event.target === panel) close(); });
  panel.addEventListener("close", () => { opener?.focus(); opener = null; });
})();
