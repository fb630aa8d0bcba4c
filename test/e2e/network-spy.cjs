// Loaded by NODE_OPTIONS into every Node process of a browser run. Writes one line when the process starts and one
// for every connection or name look-up that would leave the machine, so that a test can prove that it looked.
"use strict";
const { appendFileSync } = require("node:fs");
const dns = require("node:dns");
const net = require("node:net");
const dgram = require("node:dgram");

const log = process.env.E2E_NETWORK_LOG;
const note = (what, detail) => {
  if (log) appendFileSync(log, `${JSON.stringify({ what, detail, pid: process.pid })}\n`);
};
const isLocal = (host) =>
  host === undefined || host === "" || /^(localhost|127\.|::1$|::ffff:127\.|0\.0\.0\.0)/.test(host);

note("start", process.argv.slice(0, 3).join(" "));

// oxlint-disable-next-line typescript/unbound-method -- it is called with its socket below.
const connect = net.Socket.prototype.connect;
net.Socket.prototype.connect = function spiedConnect(...args) {
  const [first] = Array.isArray(args[0]) ? args[0] : args;
  const host = typeof first === "object" && first !== null ? first.host : args[1];
  const isPath = typeof first === "string" || (typeof first === "object" && first?.path);
  if (!isPath && typeof host === "string" && !isLocal(host)) note("connect", host);
  return connect.apply(this, args);
};
const lookup = dns.lookup;
dns.lookup = function spiedLookup(host, ...rest) {
  if (!isLocal(host)) note("lookup", host);
  return lookup.call(this, host, ...rest);
};
// oxlint-disable-next-line typescript/unbound-method -- it is called with its socket below.
const send = dgram.Socket.prototype.send;
dgram.Socket.prototype.send = function spiedSend(...args) {
  const host = args.find((it, index) => index > 1 && typeof it === "string");
  if (!isLocal(host)) note("datagram", host);
  return send.apply(this, args);
};
