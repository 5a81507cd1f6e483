/** `npm run sim -- [--seeds N] [--start S] …`: see `USAGE`. */
import { playSeed } from './simulation.js';
const start = Number(process.argv[2]); const n = Number(process.argv[3]); const trace = process.argv[4] === 't';
const t = performance.now(); let fails = 0;
for (let s = start; s < start + n; s++) {
  const r = await playSeed(s, trace);
  if (r.finding) { fails++; if (fails<12) console.log(s, r.finding.split('\n').slice(0,6).join('\n')); }
}
console.log(fails, 'failed;', n / ((performance.now() - t) / 1000), 'seeds/s');
