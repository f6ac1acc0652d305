// Shows /openapi.json. Every text goes in as text, never as markup.
"use strict";

const METHODS = ["get", "post", "patch", "put", "delete", "head", "options"];
let api;

function make(tag, options = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(options)) {
    if (name === "text") element.textContent = value;
    else if (value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

// Descriptions use `code` and nothing else of Markdown.
function prose(text, options = {}) {
  const element = make("p", options);
  (text || "").split("`").forEach((part, n) => element.append(n % 2 ? make("code", { text: part }) : part));
  return element;
}

function nameOf(ref) {
  return ref.slice(ref.lastIndexOf("/") + 1);
}

// What a schema takes, in one line; references become links.
function typeOf(schema) {
  const line = make("span");
  if (!schema) return line;
  if (schema.$ref) {
    line.append(make("a", { href: `#schema-${nameOf(schema.$ref)}`, text: nameOf(schema.$ref) }));
    return line;
  }
  const several = schema.oneOf || schema.anyOf || schema.allOf;
  if (several) {
    several.forEach((one, n) => line.append(n ? (schema.allOf ? " and " : " or ") : "", typeOf(one)));
    return line;
  }
  const types = [].concat(schema.type || "any");
  if (types.includes("array")) {
    line.append("list of ", typeOf(schema.items));
  } else {
    line.append(types.join(" or "));
  }
  const limits = [
    schema.format,
    schema.minLength !== undefined && `at least ${schema.minLength} characters`,
    schema.maxLength !== undefined && `at most ${schema.maxLength} characters`,
    schema.minimum !== undefined && `from ${schema.minimum}`,
    schema.maximum !== undefined && `to ${schema.maximum}`,
    schema.maxItems !== undefined && `at most ${schema.maxItems}`,
    schema.default !== undefined && `default ${JSON.stringify(schema.default)}`,
  ].filter(Boolean);
  if (limits.length) line.append(` (${limits.join(", ")})`);
  if (schema.enum) line.append(": ", schema.enum.map((value) => JSON.stringify(value)).join(", "));
  return line;
}

function table(headings, rows) {
  const head = make("tr", {}, ...headings.map((text) => make("th", { scope: "col", text })));
  return make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows));
}

function fieldRows(schema) {
  const required = schema.required || [];
  return Object.entries(schema.properties || {}).map(([name, field]) =>
    make("tr", {},
      make("td", { text: name, class: required.includes(name) ? "required" : undefined }),
      make("td", {}, typeOf(field)),
      make("td", {}, prose(field.description))));
}

function parameters(operation) {
  const rows = (operation.parameters || []).map((one) =>
    make("tr", {},
      make("td", { text: one.name, class: one.required ? "required" : undefined }),
      make("td", {}, `${one.in}: `, typeOf(one.schema)),
      make("td", {}, prose(one.description))));
  return rows.length ? [make("h4", { text: "Parameters" }), table(["Name", "Takes", "Meaning"], rows)] : [];
}

function requestBody(operation) {
  const content = Object.entries(operation.requestBody?.content || {});
  if (!content.length) return [];
  const lines = content.map(([kind, media]) => make("p", {}, make("code", { text: kind }), " ", typeOf(media.schema)));
  return [make("h4", { text: "Request body" }), ...lines];
}

function responses(operation) {
  const rows = Object.entries(operation.responses || {}).map(([status, answer]) => {
    const content = Object.entries(answer.content || {});
    const bodies = content.map(([kind, media]) => make("div", {}, make("code", { text: kind }), " ", typeOf(media.schema)));
    return make("tr", {}, make("td", { text: status }), make("td", {}, ...bodies), make("td", {}, prose(answer.description)));
  });
  return [make("h4", { text: "Answers" }), table(["Status", "Body", "Meaning"], rows)];
}

function call(path, method, operation) {
  const summary = make("summary", {},
    make("span", { class: `method ${method}`, text: method }), " ",
    make("span", { class: "path", text: path }), " ",
    make("span", { class: "about", text: operation.summary || "" }));
  const inside = make("div", {}, operation.description ? prose(operation.description) : null,
    ...parameters(operation), ...requestBody(operation), ...responses(operation));
  return make("details", { id: `call-${operation.operationId}`, "data-find": JSON.stringify([path, method, operation]).toLowerCase() }, summary, inside);
}

function showCalls(contents, calls) {
  for (const tag of api.tags || []) {
    const section = make("section", {}, make("h2", { text: tag.name, id: `tag-${tag.name}` }), prose(tag.description, { class: "about" }));
    contents.append(make("strong", { text: tag.name }));
    for (const [path, item] of Object.entries(api.paths)) {
      for (const method of METHODS) {
        const operation = item[method];
        if (!operation || !(operation.tags || []).includes(tag.name)) continue;
        section.append(call(path, method, operation));
        contents.append(make("a", { href: `#call-${operation.operationId}`, text: operation.summary || path }));
      }
    }
    calls.append(section);
  }
}

function showSchemas(place) {
  place.append(make("h2", { text: "Schemas" }));
  for (const [name, schema] of Object.entries(api.components?.schemas || {})) {
    const parts = schema.allOf || [schema];
    const rows = parts.flatMap(fieldRows);
    const links = schema.allOf ? [make("p", {}, "Everything in ", ...parts.filter((part) => part.$ref).map(typeOf))] : [];
    const inside = make("div", {}, schema.description ? prose(schema.description) : null, ...links,
      rows.length ? table(["Field", "Takes", "Meaning"], rows) : make("p", {}, typeOf(schema)));
    place.append(make("details", { id: `schema-${name}`, "data-find": JSON.stringify([name, schema]).toLowerCase() },
      make("summary", {}, make("code", { text: name })), inside));
  }
}

function openTarget() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target instanceof HTMLDetailsElement) {
    target.open = true;
    target.scrollIntoView();
  }
}

function find(event) {
  const wanted = event.target.value.trim().toLowerCase();
  for (const one of document.querySelectorAll("details")) one.hidden = !one.dataset.find.includes(wanted);
}

async function show() {
  const about = document.getElementById("about");
  try {
    const answer = await fetch("/openapi.json");
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    api = await answer.json();
  } catch (error) {
    about.textContent = `The API document could not be loaded (${error.message}). Reload the page to try again.`;
    return;
  }
  document.getElementById("title").textContent = `${api.info.title} API ${api.info.version}`;
  about.replaceWith(prose(api.info.description));
  showCalls(document.getElementById("contents"), document.getElementById("calls"));
  showSchemas(document.getElementById("schemas"));
  document.getElementById("find").addEventListener("input", find);
  addEventListener("hashchange", openTarget);
  openTarget();
}

show();
