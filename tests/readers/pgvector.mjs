// PostgreSQL with pgvector (PGlite's) loads `wgmf export --format pgvector`, and lists as the model does.
//
//     node pgvector.mjs NODE_MODULES DIRECTORY EXPECTED

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve } from "node:path";
import assert from "node:assert";

const [modules, directory, expected] = process.argv.slice(2);
const from = createRequire(resolve(modules, "index.js"));
const { PGlite } = from("@electric-sql/pglite");
const { vector } = from("@electric-sql/pglite-pgvector");
const want = JSON.parse(readFileSync(expected, "utf8"));
const db = await PGlite.create({ extensions: { vector } });

// What psql does: statements, and behind each COPY its lines.
for (const side of ["users", "items"]) {
  let rest = readFileSync(`${directory}/${side}.sql`, "utf8");
  for (let copy; (copy = rest.match(/^COPY (.*) FROM stdin;\n/m)); ) {
    await db.exec(rest.slice(0, copy.index));
    const data = rest.slice(copy.index + copy[0].length);
    const end = data.indexOf("\\.\n");
    const lines = new Blob([data.slice(0, end)]);
    await db.query(`COPY ${copy[1]} FROM '/dev/blob'`, [], { blob: lines });
    rest = data.slice(end + 3);
  }
  await db.exec(rest);
  const rows = (await db.query(`SELECT id, ratings, bias FROM wgmf_${side}`)).rows;
  const by = new Map(rows.map((row) => [row.id, row]));
  assert.equal(by.size, want[side].ids.length);
  want[side].ids.forEach((id, at) => {
    assert.ok(by.has(id), id);
    assert.equal(by.get(id).ratings, want[side].ratings[at]);
    assert.equal(Math.fround(by.get(id).bias), want[side].bias[at]);
  });
}

for (const [at, list] of want.lists.entries()) {
  const found = await db.query(
    `SELECT id FROM wgmf_items item ORDER BY item.embedding <#>
       (SELECT embedding FROM wgmf_users WHERE id = $1) LIMIT ${list.length}`,
    [want.users.ids[at]],
  );
  assert.deepEqual(found.rows.map((row) => row.id), list);
}
const index = await db.query("SELECT indexdef FROM pg_indexes WHERE tablename = 'wgmf_items'");
assert.ok(index.rows.some((row) => row.indexdef.includes("hnsw")), JSON.stringify(index.rows));
// The index's own search, which a planner may leave aside for so few rows.
await db.exec("SET enable_seqscan = off; SET hnsw.ef_search = 200;");
for (const [at, list] of want.lists.entries()) {
  const found = await db.query(
    `SELECT id FROM wgmf_items item ORDER BY item.embedding <#>
       (SELECT embedding FROM wgmf_users WHERE id = $1) LIMIT ${list.length}`,
    [want.users.ids[at]],
  );
  assert.deepEqual(found.rows.map((row) => row.id), list);
}
