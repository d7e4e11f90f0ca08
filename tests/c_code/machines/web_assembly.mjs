// Prints y and the Jacobian of a program in WebAssembly for each line of numbers in hexadecimal.
import { readFileSync } from 'node:fs';

const [path, inBytes, yBytes, jacobianBytes] = process.argv.slice(2);
const module = await WebAssembly.instantiate(readFileSync(path));
const { memory, net_jacobian, __heap_base } = module.instance.exports;
const x = __heap_base.value;
const y = x + Number(inBytes);
const jacobian = y + Number(yBytes);
for (const line of readFileSync(0, 'utf8').trim().split('\n')) {
    new Uint8Array(memory.buffer).set(Buffer.from(line, 'hex'), x);
    net_jacobian(x, y, jacobian);
    const size = Number(yBytes) + Number(jacobianBytes);
    console.log(Buffer.from(memory.buffer, y, size).toString('hex'));
}
