// Runs the engine of the Perfetto UI, as it is, outside of a browser: the trace processor's RPC on stdin and stdout.
// Argument: the folder with engine_bundle.js and its WebAssembly.

"use strict";

const fs = require("node:fs");
const path = require("node:path");
const vm = require("node:vm");

const folder = process.argv[2];
const file = (name) => path.join(folder, path.basename(name));
const say = (...words) => process.stderr.write(`${words.join(" ")}\n`);

// The engine fetches its WebAssembly this way, because it expects to be a worker of a page.
class Request {
  open(_method, url) {
    this.url = url;
  }
  send() {
    this.status = 200;
    this.response = new Uint8Array(fs.readFileSync(file(this.url))).buffer;
  }
}

// What a worker has. There is no `process` in it: by that the engine would see that this is no browser.
const worker = {
  console: { log: say, warn: say, error: say },
  crypto,
  importScripts() {},
  location: { href: "engine_bundle.js" },
  performance,
  setTimeout,
  TextDecoder,
  TextEncoder,
  WorkerGlobalScope: Object,
  XMLHttpRequest: Request,
};
worker.self = worker;
vm.createContext(worker);
vm.runInContext(fs.readFileSync(file("engine_bundle.js"), "utf8"), worker);

function write(bytes) {
  for (let done = 0; done < bytes.length; ) {
    done += fs.writeSync(1, bytes, done);
  }
}

const port = { postMessage: write };
const Bytes = vm.runInContext("Uint8Array", worker);
worker.onmessage({ data: port });
// The engine is ready when what is waiting now has run.
setTimeout(() => process.stdin.on("data", (bytes) => port.onmessage({ data: Bytes.from(bytes) })), 0);
