// What the package says that it exports, read from its own declarations: nobody has to keep a list.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

const root = path.dirname(createRequire(import.meta.url).resolve("@azure/notification-hubs/package.json"));

/** Functions and classes of a declaration file and of those that it passes on: name → methods of the class. */
function of(file) {
  const text = readFileSync(file, "utf8");
  const found = new Map();
  for (const [, name] of text.matchAll(/^export declare function (\w+)/gm)) found.set(name, []);
  for (const [, name, body] of text.matchAll(/^export declare class (\w+)[^{]*\{([\s\S]*?)^\}/gm)) {
    found.set(name, [...body.matchAll(/^ {4}(?!constructor)(\w+)\(/gm)].map(([, method]) => method));
  }
  for (const [, from] of text.matchAll(/^export \* from "(\.[^"]+)\.js"/gm)) {
    for (const [name, methods] of of(path.join(path.dirname(file), `${from}.d.ts`))) found.set(name, methods);
  }
  // What other packages declare: their classes' methods are theirs.
  for (const [, names] of text.matchAll(/^export \{([^}]+)\} from "[^.]/gm)) {
    for (const name of names.split(",")) found.set(name.trim(), []);
  }
  return found;
}

const { exports } = JSON.parse(readFileSync(path.join(root, "package.json"), "utf8"));
const modules = Object.entries(exports).filter(([, conditions]) => conditions.import?.types);
export const declared = Object.fromEntries(
  modules.map(([module, conditions]) => [module, of(path.join(root, conditions.import.types))]),
);
