// Sends batches of messages through the openai SDK's WebSocket, and prints what the SDK told of it.
// A batch goes out once each message of the one before has had its terminal event.
"use strict";
const { OpenAI } = require("openai");
const { ResponsesWS } = require("openai/resources/responses/ws");

const TERMINALS = ["response.completed", "response.failed", "response.incomplete", "error"];

async function main({ baseURL, apiKey, batches, options }) {
  const socket = new ResponsesWS(new OpenAI({ baseURL, apiKey }), options);
  const told = { events: [], errors: [], close: null };
  let awaited = 0;
  const next = () => {
    const batch = batches.shift();
    if (!batch) return socket.close({ code: 1000, reason: "done" });
    awaited = batch.length;
    batch.forEach((message) => socket.send(message));
  };
  for await (const record of socket) {
    if (record.type === "open") next();
    if (record.type === "error") told.errors.push(record.error.message);
    if (record.type === "close") told.close = { code: record.code, reason: record.reason };
    // An `error` event is told as an error that holds it.
    const event = record.type === "message" ? record.message : record.error?.error;
    if (!event) continue;
    told.events.push(event);
    if (TERMINALS.includes(event.type) && --awaited === 0) next();
  }
  console.log(JSON.stringify(told));
}

main(JSON.parse(process.argv[2]));
