// Sends a task (see `Task`) with @parse/node-apn and prints what came of it (see `Done`).
'use strict';
const fs = require('fs');
const path = require('path');
const { createRequire } = require('module');

const task = JSON.parse(fs.readFileSync(process.argv[2], 'utf8'));
// Modules are looked for where the run was started, and along NODE_PATH.
const apn = createRequire(path.join(process.cwd(), 'x.js'))('@parse/node-apn');

const options = {
  token: { key: task.key_file, keyId: task.key_id, teamId: task.team_id },
  production: false,
  address: task.host,
  port: task.port,
  ca: fs.readFileSync(task.ca_file),
  clientCount: task.connections,
};
const provider = task.connections > 1 ? new apn.MultiProvider(options) : new apn.Provider(options);
const expiry = Math.floor(Date.now() / 1000) + 3600;
const payload = JSON.parse(task.body);
const outcomes = {};
let next = 0;

async function work(end) {
  while (next < end) {
    const number = next++;
    const note = new apn.Notification();
    note.topic = task.topic;
    note.pushType = 'alert';
    note.priority = 10;
    note.expiry = expiry;
    note.id = `0193a5e0-7c1f-8a3b-9d42-${number.toString(16).padStart(12, '0')}`;
    note.rawPayload = payload;
    const result = await provider.send(note, task.tokens[number % task.tokens.length]);
    const label = result.sent.length === 1 ? 'delivered' : 'failed';
    if (label === 'failed' && !outcomes.failed) console.error(JSON.stringify(result.failed));
    outcomes[label] = (outcomes[label] || 0) + 1;
  }
}

const all = (end) => Promise.all(Array.from({ length: task.connections * task.streams }, () => work(end)));

(async () => {
  await all(task.warm_up);
  const [cpu, started] = [process.cpuUsage(), process.hrtime.bigint()];
  await all(task.warm_up + task.requests);
  const wall = Number((process.hrtime.bigint() - started) / 1000n);
  const used = process.cpuUsage(cpu);
  process.stdout.write(JSON.stringify({ cpu_micros: used.user + used.system, wall_micros: wall, outcomes }), () =>
    process.exit(0)
  );
})();
