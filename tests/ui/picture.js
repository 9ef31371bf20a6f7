// Names what is wrong with the pictures of a page: texts that touch or leave their picture,
// pictures without a name, ids that two things have, colours that the page does not give.
() => {
  const found = [];
  for (const svg of document.querySelectorAll("main svg")) {
    const name = (svg.getAttribute("aria-labelledby") || "").split(" ").map((id) => document.getElementById(id)?.textContent);
    if (svg.getAttribute("role") !== "img" || name.length !== 2 || !name.every(Boolean)) found.push("a picture without a name");
    const frame = svg.getBoundingClientRect();
    const boxes = [...svg.querySelectorAll("text")].map((text) => [text.textContent, text.getBoundingClientRect()]);
    for (const [text, box] of boxes) {
      const inside = box.left >= frame.left - 1 && box.right <= frame.right + 1 && box.top >= frame.top - 2 && box.bottom <= frame.bottom + 2;
      if (!inside) found.push(`${text} leaves its picture`);
    }
    boxes.forEach(([text, a], at) => {
      for (const [other, b] of boxes.slice(at + 1)) {
        const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
        const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
        if (across > 1 && down > 3) found.push(`${text} touches ${other}`);
      }
    });
    for (const part of svg.querySelectorAll("path, text, rect")) {
      const style = getComputedStyle(part);
      if (/rgb\(0, 0, [1-9]\)/.test(style.fill + style.stroke)) found.push(`${part.tagName} without a colour of the page`);
    }
  }
  const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
  found.push(...ids.filter((id, at) => ids.indexOf(id) !== at).map((id) => `two are ${id}`));
  return found.slice(0, 10);
}
