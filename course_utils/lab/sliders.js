// A screen reader hears "learning_rate, 0.0002" where the widgets say "4", and what a picture shows.
// Displayed beside each panel (explore.py); one observer a page, as a widget may be drawn any time.
(() => {
  if (window.courseLab) return;
  const set = (element, name, text) => {
    if (text && element.getAttribute(name) !== text) element.setAttribute(name, text);
  };
  const name = () => {
    for (const slider of document.querySelectorAll(".widget-hslider")) {
      const handle = slider.querySelector("[role=slider], .ui-slider-handle");
      if (!handle) continue;
      set(handle, "role", "slider");
      // Its number can be typed over in some versions, which moves nothing: no field, then.
      for (const number of slider.querySelectorAll("[contenteditable=true]"))
        number.contentEditable = "false";
      set(handle, "aria-label", slider.querySelector(".widget-label")?.textContent);
      set(handle, "aria-valuetext", slider.querySelector(".widget-readout")?.textContent);
    }
    for (const panel of document.querySelectorAll(".course-panel")) {
      const texts = panel.querySelectorAll(".course-alt");
      panel.querySelectorAll("img").forEach((image, n) => set(image, "alt", texts[n]?.textContent));
    }
    let alt = "";  // of the picture that comes next
    for (const part of document.querySelectorAll(".course-alt-next, .jp-RenderedImage img")) {
      if (part.matches(".course-alt-next")) alt = part.textContent;
      else if (alt) { set(part, "alt", alt); alt = ""; }
    }
    for (const told of document.querySelectorAll(".course-told")) set(told, "aria-live", "polite");
  };
  let waiting = false;
  const later = () => {
    if (waiting) return;
    waiting = true;
    setTimeout(() => { waiting = false; name(); }, 50);
  };
  window.courseLab = new MutationObserver(later);
  window.courseLab.observe(document.documentElement, {
    subtree: true, childList: true, characterData: true,
    attributes: true, attributeFilter: ["aria-valuetext"],
  });
  name();
})();
