// Roving tabindex: a group of elements is one tab stop; arrow keys, Home and End move within it.

/**
 * Make `items`, elements within `group`, one tab stop. `columns` is the number of items in a row, 0 for running text.
 * `hover(index)` is called on hover and focus (-1 for none), `pin(index)` on click and Enter.
 */
export function rovingTabindex(group, items, { columns = 0, hover, pin }) {
  const index = new Map(items.map((item, i) => [item, i]));
  const indexOf = (event) => index.get(event.target.closest?.("[data-at]")) ?? -1;
  let current = 0;
  items.forEach((item, i) => {
    item.tabIndex = i === 0 ? 0 : -1;
    item.dataset.at = i;
  });
  const focusItem = (to) => {
    if (to < 0 || to >= items.length) return;
    items[current].tabIndex = -1;
    items[to].tabIndex = 0;
    items[to].focus();
  };
  group.onpointerover = (event) => { if (event.pointerType !== "touch") hover(indexOf(event)); };
  group.onpointerleave = () => hover(items.indexOf(document.activeElement));
  group.addEventListener("focusin", (event) => {
    const target = indexOf(event);
    if (target < 0) return;
    items[current].tabIndex = -1;
    items[(current = target)].tabIndex = 0;
    hover(target);
  });
  group.addEventListener("focusout", (event) => { if (!group.contains(event.relatedTarget)) hover(-1); });
  group.onclick = (event) => pin(indexOf(event));
  group.onkeydown = (event) => {
    const forward = getComputedStyle(group).direction === "rtl" ? -1 : 1;
    const steps = { ArrowRight: forward, ArrowLeft: -forward, ArrowDown: columns || 1, ArrowUp: -columns || -1 };
    if (event.key in steps) focusItem(current + steps[event.key]);
    else if (event.key === "Home") focusItem(0);
    else if (event.key === "End") focusItem(items.length - 1);
    else if (event.key === "Enter" || event.key === " ") pin(current);
    else if (event.key === "Escape") pin(-1);
    else return;
    event.preventDefault();
  };
}
