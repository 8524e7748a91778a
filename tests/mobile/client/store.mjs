// A device's own store in memory, as the client wants one (MobileServiceStore). It understands the queries that the client
// itself makes: comparisons with `and` between them, one order, an amount.
export class Store {
  tables = new Map();

  #rows(table) {
    const key = table.toLowerCase();
    if (!this.tables.has(key)) this.tables.set(key, new Map());
    return this.tables.get(key);
  }
  async defineTable({ name }) {
    this.#rows(name);
  }
  async upsert(table, data) {
    for (const row of [data].flat()) {
      const rows = this.#rows(table);
      const key = String(row.id).toLowerCase();
      rows.set(key, { ...rows.get(key), ...structuredClone(row) });
    }
  }
  async lookup(table, id, quiet) {
    const row = this.#rows(table).get(String(id).toLowerCase());
    if (!row && !quiet) throw new Error(`no ${table} ${id}`);
    return row && structuredClone(row);
  }
  async read(query) {
    const { table, filters, ordering, skip, take } = query.getComponents();
    let rows = [...this.#rows(table).values()].filter((row) => holds(query, filters, row));
    for (const [column, ascending] of Object.entries(ordering)) {
      rows.sort((a, b) => (a[column] < b[column] ? -1 : a[column] > b[column] ? 1 : 0) * (ascending ? 1 : -1));
    }
    rows = rows.slice(skip ?? 0, take === null || take === undefined ? undefined : (skip ?? 0) + take);
    return rows.map((row) => structuredClone(row));
  }
  async del(what, ids) {
    if (typeof what === "string") {
      for (const id of [ids].flat()) this.#rows(what).delete(String(id).toLowerCase());
      return;
    }
    const { table } = what.getComponents();
    for (const row of await this.read(what)) this.#rows(table).delete(String(row.id).toLowerCase());
  }
  async executeBatch(operations) {
    for (const { action, tableName, data, id } of operations.filter(Boolean)) {
      if (action.toLowerCase() === "upsert") await this.upsert(tableName, data);
      else await this.del(tableName, id);
    }
  }
}

const operators = { eq: "===", gt: ">", ge: ">=", lt: "<", le: "<=", ne: "!==", and: "&&", or: "||" };

function holds(query, filters, row) {
  if (!filters) return true;
  const text = query.toOData().match(/\$filter=(.*?)(?:&\$|$)/)[1];
  const script = text.replace(/'(?:[^']|'')*'|[A-Za-z_]\w*|[^A-Za-z_']+/g, (part) => {
    if (part.startsWith("'")) return JSON.stringify(part.slice(1, -1).replaceAll("''", "'"));
    if (part in operators) return operators[part];
    return /^[A-Za-z_]/.test(part) && !["true", "false", "null"].includes(part) ? `row[${JSON.stringify(part)}]` : part;
  });
  return new Function("row", `return ${script}`)(row);
}
