// Makes the exports with sharp; asked by peers.py, a line in and a line of milliseconds out.
//   node sharp.mjs PICTURE FORMATS_JSON        sharp is found from the folder it runs in
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { cwd } from "node:process";

const sharp = createRequire(`${cwd()}/`)("sharp");
const [picture, formats] = [process.argv[2], JSON.parse(process.argv[3])];
const make = ({ width, height, dpi }) =>
  sharp(picture)
    .resize(width, height, { fit: "cover", kernel: "lanczos3" })
    .withMetadata({ density: dpi })
    .jpeg({ quality: 90, chromaSubsampling: "4:2:0" })
    .toBuffer();
const ways = {
  turn: async () => { for (const format of formats) await make(format); },
  once: async () => { await Promise.all(formats.map(make)); },
};
for await (const way of createInterface({ input: process.stdin })) {
  const [started, used] = [performance.now(), process.cpuUsage()];
  await ways[way]();
  const cpu = process.cpuUsage(used);
  console.log(JSON.stringify([performance.now() - started, (cpu.user + cpu.system) / 1000]));
}
