"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const main = byId("pictures");
  const cards = [...main.querySelectorAll(".card")];
  const boxes = [...document.querySelectorAll("input[name=format]")];
  const safe = byId("safe");
  const viewer = byId("viewer");
  const safeHere = byId("safe-here");
  let shownLink = null;

  const update = () => {
    const pose = byId("pose").value;
    let count = 0;
    for (const card of cards) {
      card.hidden = pose !== "" && card.dataset.pose !== pose;
      count += !card.hidden;
    }
    for (const box of boxes) main.classList.toggle(`hide-${box.value}`, !box.checked);
    main.classList.toggle("show-safe", safe.checked);
    const formats = boxes.filter((box) => box.checked).length;
    byId("count").textContent = `${count} of ${cards.length} images, ${formats} of ${boxes.length} formats`;
  };
  const checkAll = (checked) => {
    for (const box of boxes) box.checked = checked;
    update();
  };

  const visibleLinks = () => [...main.querySelectorAll(".tile a")].filter((link) => link.checkVisibility
    ? link.checkVisibility() : link.offsetParent !== null);
  const show = (link) => {
    const tile = link.closest(".tile");
    const view = viewer.querySelector(".view");
    const image = view.querySelector("img");
    view.className = `view ${[...tile.classList].find((name) => name.startsWith("f-"))}`;
    view.querySelector(".safe").hidden = !tile.querySelector(".safe");
    image.src = link.href;
    image.alt = tile.querySelector("img").alt;
    const facts = [...tile.querySelectorAll(".facts span, .covered")].map((part) => part.textContent);
    viewer.querySelector(".caption p").textContent = [image.alt, ...facts].join(" · ");
    byId("file").href = link.href;
    shownLink = link;
    showSafe();
    if (!viewer.open) viewer.showModal();
  };
  const showSafe = () => {
    const there = !viewer.querySelector(".safe").hidden;
    viewer.querySelector(".view").classList.toggle("show-safe", safeHere.checked && there);
    safeHere.disabled = !there;
  };
  const step = (by) => {
    const links = visibleLinks();
    const place = links.indexOf(shownLink) + by;
    if (links.length) show(links[(place + links.length) % links.length]);
  };

  main.addEventListener("click", (event) => {
    const link = event.target.closest(".tile a");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || !viewer.showModal) return;
    event.preventDefault();
    safeHere.checked = safe.checked;
    show(link);
  });
  viewer.addEventListener("keydown", (event) => {
    if (event.key === "ArrowLeft") step(-1);
    if (event.key === "ArrowRight") step(1);
  });
  viewer.addEventListener("close", () => {
    viewer.querySelector("img").removeAttribute("src");
    if (shownLink) shownLink.focus();
  });
  byId("before").addEventListener("click", () => step(-1));
  byId("after").addEventListener("click", () => step(1));
  byId("close").addEventListener("click", () => viewer.close());
  safeHere.addEventListener("change", showSafe);
  byId("every").addEventListener("click", () => checkAll(true));
  byId("none").addEventListener("click", () => checkAll(false));
  const bar = document.querySelector(".bar");
  bar.addEventListener("change", update);
  bar.addEventListener("submit", (event) => event.preventDefault());
  bar.hidden = false;
  if (window.matchMedia("(max-width: 40rem)").matches) document.querySelector(".formats").open = false;
  update();
})();
