"use strict";
// Text is only ever set as text, so nothing in the description can become markup.
const make = (name, text, ...children) => {
  const element = document.createElement(name);
  if (text) element.textContent = text;
  element.append(...children);
  return element;
};
const table = (caption, heads, rows) => {
  const head = make("tr", "", ...heads.map((text) => Object.assign(make("th", text), { scope: "col" })));
  const body = rows.map((row) => make("tr", "", ...row.map((text) => make("td", text))));
  return make("table", "", make("caption", caption), make("thead", "", head), make("tbody", "", ...body));
};
const named = (schema) => (schema && schema.$ref ? schema.$ref.split("/").pop() : "");
const shape = (schema) => {
  const name = named(schema);
  if (!name) return make("pre", JSON.stringify(schema, null, 2));
  const link = make("a", name);
  link.href = "#schema-" + name;
  return make("p", "", "Schema: ", link);
};
const curl = (method, path, operation) => {
  const open = operation.security && operation.security.some((way) => Object.keys(way).length === 0);
  const key = open ? "" : " \\\n  -H \"Authorization: Bearer $FANFARE_KEY\"";
  const kind = operation.requestBody && Object.keys(operation.requestBody.content)[0];
  const body = kind ? " \\\n  -H 'Content-Type: " + kind + "' --data-binary @body.json" : "";
  return "curl -X " + method + " '" + location.origin + path + "'" + key + body;
};
const operation = (path, method, it) => {
  const summary = make("summary", "", Object.assign(make("span", method + " "), { className: "method" }), make("code", path), " " + (it.summary || ""));
  const details = make("details", "", summary);
  if (it.description) details.append(make("p", it.description));
  if (it.parameters && it.parameters.length) {
    details.append(table("Parameters", ["Name", "In", "Required", "Meaning"], it.parameters.map((p) => [p.name, p.in, p.required ? "yes" : "no", p.description || ""])));
  }
  if (it.requestBody) {
    details.append(make("h3", "Body"));
    for (const content of Object.values(it.requestBody.content)) details.append(shape(content.schema));
  }
  details.append(table("Answers", ["Status", "Meaning", "Schema"], Object.entries(it.responses).map(([status, answer]) => [status, answer.description, Object.values(answer.content || {}).map((c) => named(c.schema)).join(" ")])));
  details.append(make("h3", "Example"), make("pre", curl(method, path, it)));
  return details;
};
const show = (description) => {
  const main = document.getElementById("operations");
  document.getElementById("status").remove();
  document.getElementById("about").textContent = description.info.description;
  const section = (id, title) => {
    const link = make("a", title);
    link.href = "#" + id;
    document.getElementById("groups").append(make("li", "", link));
    const made = make("section", "", make("h2", title));
    made.id = id;
    main.append(made);
    return made;
  };
  for (const tag of description.tags) {
    const group = section("tag-" + tag.name, tag.name);
    group.append(make("p", tag.description));
    for (const [path, methods] of Object.entries(description.paths)) {
      for (const [method, it] of Object.entries(methods)) {
        if (it.tags && it.tags.includes(tag.name)) group.append(operation(path, method.toUpperCase(), it));
      }
    }
  }
  const schemas = section("schemas", "schemas");
  for (const [name, schema] of Object.entries(description.components.schemas)) {
    const title = make("h3", name);
    title.id = "schema-" + name;
    schemas.append(title, make("pre", JSON.stringify(schema, null, 2)));
  }
};
fetch("/v1/openapi.json")
  .then((answer) => (answer.ok ? answer.json() : Promise.reject(new Error("status " + answer.status))))
  .then(show)
  .catch((error) => { document.getElementById("status").textContent = "The description cannot be shown: " + error.message; });
