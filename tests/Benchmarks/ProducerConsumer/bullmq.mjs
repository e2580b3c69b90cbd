// The same with BullMQ: adds numbers to a queue, works on them, prints their sum and the milliseconds until the last one is acknowledged.
import { Queue, Worker } from 'bullmq';
import { Redis } from 'ioredis';

const [port, operations, batch, callers] = process.argv.slice(2).map(Number);
const connection = new Redis({ host: '127.0.0.1', port, password: process.env.REDIS_PASSWORD, maxRetriesPerRequest: null });
connection.on('error', error => {
  console.error(error.message);
  process.exit(1);
});
const name = `bench-${process.pid}`;
const options = { removeOnComplete: true };

const queue = new Queue(name, { connection });
await queue.waitUntilReady();
let [sum, done] = [0, 0];
let finished;
const all = new Promise(resolve => { finished = resolve; });
const worker = new Worker(name, async job => job.data.x, { connection, concurrency: callers });
worker.on('completed', (_, x) => {
  sum += x;
  if (++done === operations) finished();
});
await worker.waitUntilReady();

const since = performance.now();
if (batch === 1) {
  await Promise.all(Array.from({ length: callers }, async (_, caller) => {
    for (let x = caller; x < operations; x += callers) await queue.add('job', { x }, options);
  }));
} else {
  for (let first = 0; first < operations; first += batch) {
    await queue.addBulk(Array.from({ length: Math.min(batch, operations - first) }, (_, i) => ({ name: 'job', data: { x: first + i }, opts: options })));
  }
}
await all;
const took = performance.now() - since;

await worker.close();
await queue.obliterate({ force: true });
await queue.close();
connection.disconnect();
process.stdout.write(`${sum} ${took}`);
