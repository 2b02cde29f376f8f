(() => {
  // Everything is in the page already; the slider says which of it is shown.
  for (const figure of document.querySelectorAll(".explained")) {
    const slider = figure.querySelector("input[type=range]");
    const steps = [...figure.querySelectorAll(".step")];
    const marks = [...figure.querySelectorAll(".marks button")];
    const now = figure.querySelector(".now");
    const show = (to) => {
      figure.dataset.step = to;
      for (const step of steps) step.hidden = Number(step.dataset.step) !== to;
      marks.forEach((mark, i) => {
        if (i === to) mark.setAttribute("aria-current", "step");
        else mark.removeAttribute("aria-current");
      });
      now.textContent = marks[to].getAttribute("aria-label");
      slider.value = to;
      slider.setAttribute("aria-valuetext", steps.find((step) => !step.hidden).dataset.tells);
    };
    if (slider) {
      slider.hidden = false;
      slider.addEventListener("input", () => show(Number(slider.value)));
      for (const mark of marks) {
        mark.addEventListener("click", () => { show(Number(mark.dataset.to)); slider.focus({ preventScroll: true }); });
      }
      // A browser that comes back to the page may have moved the slider.
      show(Number(slider.value));
    }
    const views = figure.querySelector(".views");
    if (figure.querySelector("img.seen")) {
      views.hidden = false;
      const look = () => { figure.dataset.view = views.querySelector("input:checked").value; };
      views.addEventListener("change", look);
      look();
    }
  }
})();
