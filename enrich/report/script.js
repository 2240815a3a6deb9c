"use strict";

// Tables: a header's button sorts by its column, again: the other way; what has no value stays last.
for (const button of document.querySelectorAll("button.sort")) {
  button.addEventListener("click", () => {
    const header = button.closest("th");
    const numeric = header.classList.contains("number");
    const ascending = header.getAttribute("aria-sort") !== "ascending";
    for (const other of header.parentElement.cells) other.setAttribute("aria-sort", "none");
    header.setAttribute("aria-sort", ascending ? "ascending" : "descending");
    const body = header.closest("table").tBodies[0];
    const keyed = [...body.rows].map((row) => ({ row, key: row.cells[header.cellIndex].dataset.order }));
    keyed.sort((a, b) => {
      if (a.key === undefined || b.key === undefined) return (a.key === undefined) - (b.key === undefined);
      const order = numeric ? a.key - b.key : a.key.localeCompare(b.key);
      return ascending ? order : -order;
    });
    body.append(...keyed.map(({ row }) => row));
  });
}

// Slices: a scan, a method and a slice choose the pictures and outlines.
const { scans, images } = JSON.parse(document.getElementById("slices-data").textContent);
if (scans.length) {
  const find = (id) => document.getElementById(id);
  const [scan, method, slice, panels] = ["scan", "method", "slice", "panels"].map(find);
  const [reference, prediction, fill] = ["show-reference", "show-prediction", "fill"].map(find);
  const SVG = "http://www.w3.org/2000/svg";
  const current = () => scans[scan.value];
  const chosen = () => current().methods[method.value];

  const options = (select, titles, start) => {
    select.replaceChildren(...titles.map((title, value) => new Option(title, value)));
    select.value = start;
  };

  const panel = (heading, uris) => {
    const { width, height } = current();
    const figure = document.createElement("figure");
    const frame = document.createElement("span");
    frame.className = "picture";
    frame.style.aspectRatio = `${width}/${height}`;
    const image = Object.assign(new Image(width, height), { uris, heading });
    const overlay = document.createElementNS(SVG, "svg");
    overlay.setAttribute("viewBox", `0 0 ${width} ${height}`);
    overlay.setAttribute("aria-hidden", "true");
    for (const name of ["reference", "prediction"]) {
      const path = document.createElementNS(SVG, "path");
      path.setAttribute("class", name);
      overlay.append(path);
    }
    const caption = document.createElement("figcaption");
    caption.textContent = heading;
    frame.append(image, overlay);
    figure.append(frame, caption);
    return figure;
  };

  const draw = () => {
    const { slices, depth, title, reference: outlines } = current();
    const position = Number(slice.value);
    const where = `slice ${slices[position]} of ${depth}`;
    find("position").textContent = `${slices[position]} of ${depth}`;
    slice.setAttribute("aria-valuetext", where);
    for (const image of panels.querySelectorAll("img")) {
      image.src = image.uris[position];
      image.alt = `${image.heading}, ${title}, ${where}`;
    }
    const shown = {
      reference: reference.checked ? outlines[position] : "",
      prediction: prediction.checked && chosen() ? chosen().prediction[position] : "",
    };
    for (const path of panels.querySelectorAll("path")) path.setAttribute("d", shown[path.getAttribute("class")]);
    panels.classList.toggle("filled", fill.checked);
  };

  const rebuild = () => {
    const { source, modality, methods, slices } = current();
    const channels = chosen() ? chosen().channels : [];
    slice.max = slices.length - 1;
    panels.replaceChildren(
      panel(`real ${modality}`, images[source]),
      ...channels.map((channel) => panel(channel.title, images[channel.images])),
    );
    find("case-scores").textContent = chosen() ? `${chosen().title}: ${chosen().scores || "not scored"}` : "No segmentation.";
    find("method").disabled = methods.length === 0;
    draw();
  };

  const change = () => {
    const titles = current().methods.map(({ title }) => title);
    const kept = titles.indexOf(method.selectedOptions[0]?.text);
    options(method, titles, kept < 0 ? current().start : kept);
    slice.max = current().slices.length - 1;
    slice.value = Math.floor(current().slices.length / 2);
    rebuild();
  };

  options(scan, scans.map(({ title }) => title), 0);
  change();
  scan.addEventListener("change", change);
  method.addEventListener("change", rebuild);
  for (const input of [slice, reference, prediction, fill]) input.addEventListener("input", draw);
}
