// sharp at the work of desk/benches/work.rs. Usage: sharp.mjs PHOTO.jpg
import sharp from 'sharp';

const TIMES = 15;
sharp.cache(false);
sharp.concurrency(1);

async function photo(path) {
  const jpeg = { quality: 82, chromaSubsampling: '4:2:0' };
  const display = await sharp(path).rotate().resize(1600, 1200, { fit: 'inside', withoutEnlargement: true }).jpeg(jpeg).toBuffer();
  await sharp(display).resize(320, 240, { fit: 'inside' }).jpeg(jpeg).toBuffer();
}

await photo(process.argv[2]);
const taken = [];
for (let n = 0; n < TIMES; n++) {
  const before = process.cpuUsage();
  await photo(process.argv[2]);
  const used = process.cpuUsage(before);
  taken.push((used.user + used.system) / 1000);
}
taken.sort((a, b) => a - b);
console.log(`photo to 1600x1200 and 320x240, processor\tsharp\t${taken[TIMES >> 1].toFixed(1)}\tms`);
