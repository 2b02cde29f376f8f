(() => {
  const root = document.documentElement;
  const button = document.getElementById("theme");
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const remember = (theme) => { try { localStorage.setItem("wavelens-theme", theme); } catch { /* not allowed here */ } };
  const remembered = () => { try { return localStorage.getItem("wavelens-theme"); } catch { return null; } };
  const isDark = () => (root.dataset.theme || (system.matches ? "dark" : "light")) === "dark";
  const name = () => { button.textContent = isDark() ? "Light theme" : "Dark theme"; };
  const stored = remembered();
  if (stored === "dark" || stored === "light") root.dataset.theme = stored;
  button.hidden = false;
  name();
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    remember(root.dataset.theme);
    name();
  });
  system.addEventListener("change", name);

  // A printed page has no clicks: everything folded is opened, and closed again afterwards.
  let opened = [];
  window.addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details:not([open])")];
    for (const each of opened) each.open = true;
  });
  window.addEventListener("afterprint", () => { for (const each of opened) each.open = false; });

  // A strip of images: the nearest dot to the pointer, or the one the keys lead to, is shown beside it.
  for (const strip of document.querySelectorAll(".strip")) {
    const walk = strip.querySelector(".walk");
    const sheet = walk.querySelector("svg");
    const dots = [...walk.querySelectorAll("circle")];
    const picture = strip.querySelector(".preview img");
    const name = strip.querySelector(".preview .name");
    const about = strip.querySelector(".preview .value");
    let now = Number(walk.getAttribute("aria-valuenow")) - 1;
    const show = (i) => {
      dots[now].classList.remove("on");
      now = Math.max(0, Math.min(dots.length - 1, i));
      const { source, name: title, about: text } = dots[now].dataset;
      dots[now].classList.add("on");
      picture.src = source;
      picture.alt = `\u2068${title}\u2069, ${text}`;
      name.textContent = name.title = title;
      about.textContent = text;
      if (dots[now].dataset.place) walk.dataset.image = dots[now].dataset.place;
      walk.setAttribute("aria-valuenow", now + 1);
      walk.setAttribute("aria-valuetext", picture.alt);
    };
    const point = (event) => {
      const box = sheet.getBoundingClientRect();
      const scale = 1000 / box.width;
      const x = (event.clientX - box.left) * scale;
      const y = (event.clientY - box.top) * scale;
      let best = now;
      let least = Infinity;
      dots.forEach((dot, i) => {
        const far = (dot.cx.baseVal.value - x) ** 2 + (dot.cy.baseVal.value - y) ** 2;
        if (far < least) { least = far; best = i; }
      });
      if (best !== now) show(best);
    };
    walk.addEventListener("pointermove", point);
    walk.addEventListener("pointerdown", point);
    const steps = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10 };
    walk.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.altKey || event.metaKey) return;
      if (event.key in steps) show(now + steps[event.key]);
      else if (event.key === "Home") show(0);
      else if (event.key === "End") show(dots.length - 1);
      else return;
      event.preventDefault();
    });
  }

  const links = new Map([...document.querySelectorAll("nav a")].map((a) => [a.hash.slice(1), a]));
  const places = [...links.keys()].map((id) => document.getElementById(id)).filter(Boolean);
  const mark = () => {
    let current = places[0];
    for (const place of places) if (place.getBoundingClientRect().top < window.innerHeight * 0.3) current = place;
    for (const [id, link] of links) {
      if (current && id === current.id) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
  };
  let waiting = false;
  window.addEventListener("scroll", () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; mark(); });
  }, { passive: true });
  mark();
})();
