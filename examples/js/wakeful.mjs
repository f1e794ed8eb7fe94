// A client for wakeful's local socket: Node's standard library only, one object a line, JSON-RPC 2.0.
//
//   import { Wakeful } from "./wakeful.mjs";
//   const wakeful = await Wakeful.connect();
//   await wakeful.send("work", "alice", "on my way");
//   for await (const row of wakeful.find({ account: "work", conversation: "alice" }).sort("desc").limit(20))
//     console.log(row.message?.text);
//   for await (const { params } of wakeful.subscribe()) console.log(params);   // a connection of its own, for ever

import net from "node:net";
import os from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";

/** The daemon refused: `code` is stable, `remedy` says what to do, `reopen` goes on where a lost cursor stood. */
export class WakefulError extends Error {
  constructor(error) {
    super(error.message);
    this.code = error.data?.code;
    this.remedy = error.data?.remedy;
    this.reopen = error.data?.reopen;
  }
}

/** Where the daemon listens. */
export function defaultPath(env = process.env) {
  if (env.WAKEFUL_HOME) return path.join(env.WAKEFUL_HOME, "run", "socket");
  if (process.platform === "darwin") return path.join(os.homedir(), "Library/Application Support/wakeful/socket");
  if (env.XDG_RUNTIME_DIR) return path.join(env.XDG_RUNTIME_DIR, "wakeful", "socket");
  return path.join(env.XDG_STATE_HOME || path.join(os.homedir(), ".local/state"), "wakeful", "socket");
}

/** One connection. Requests may overlap; subscriptions open a connection of their own. */
export class Wakeful {
  static async connect(socketPath = defaultPath()) {
    const socket = net.createConnection(socketPath);
    await new Promise((resolve, reject) => socket.once("connect", resolve).once("error", reject));
    return new Wakeful(socketPath, socket);
  }

  constructor(socketPath, socket) {
    this.path = socketPath;
    this.socket = socket;
    this.last = 0;
    this.pending = new Map();
    this.told = null; // where notifications go
    const lost = () => {
      for (const { reject } of this.pending.values()) reject(new Error("the daemon ended the connection"));
      this.pending.clear();
      this.told?.(null);
    };
    socket.on("error", lost).on("close", lost);
    createInterface({ input: socket }).on("line", (line) => this.#take(JSON.parse(line)));
  }

  #take(object) {
    if (object.method) return this.told?.(object);
    const waiting = this.pending.get(object.id);
    this.pending.delete(object.id);
    if (object.error) waiting?.reject(new WakefulError(object.error));
    else waiting?.resolve(object.result);
  }

  /** Carries out one request. */
  call(method, params = {}) {
    const id = ++this.last;
    return new Promise((resolve, reject) => {
      this.pending.set(id, { resolve, reject });
      this.socket.write(JSON.stringify({ jsonrpc: "2.0", id, method, params }) + "\n");
    });
  }

  status() {
    return this.call("status");
  }

  /** Resolves when the message is durably in the outbox. Give `id` (a UUID) to repeat it safely. */
  send(account, conversation, text, more = {}) {
    return this.call("send", { account, conversation, text, ...more });
  }

  /** A cursor over history; nothing is asked until its first row is wanted. */
  find(find = {}) {
    return new Cursor(this, find);
  }

  /** Says what is on screen; holds 30 s. */
  attention(conversation = null, idle = false) {
    return this.call("attention.set", { conversation, idle });
  }

  /** Every committed change, for ever. Keep the last `seq` and pass it as `after` to go on without gap or double. */
  async *subscribe(ask = {}) {
    const own = await Wakeful.connect(this.path);
    const queue = [];
    let wake = () => {};
    own.told = (notification) => {
      queue.push(notification);
      if (queue.length > 1000) own.socket.pause(); // the daemon waits with us
      wake();
    };
    try {
      await own.call("subscribe", ask);
      for (;;) {
        while (queue.length === 0) {
          own.socket.resume();
          await new Promise((resolve) => (wake = resolve));
        }
        const notification = queue.shift();
        if (notification === null) return;
        yield notification;
      }
    } finally {
      own.close();
    }
  }

  close() {
    this.socket.destroy();
  }
}

/** Rows of history, read in batches as they are wanted: next, hasNext, forEach, toArray; sort, limit, skip. */
export class Cursor {
  #wakeful;
  #open;
  #cursor = null;
  #fresh = true;
  #rows = [];
  notes = [];
  waiting = null;
  seq = null;
  token = null;

  constructor(wakeful, find) {
    this.#wakeful = wakeful;
    this.#open = { find: { ...find } };
  }

  #set(where, key, value) {
    if (!this.#fresh) throw new Error("the cursor is open: options come before the first row");
    where[key] = value;
    return this;
  }

  /** `desc` (newest first), `asc` or `rank`. */
  sort(order) {
    return this.#set(this.#open.find, "sort", order);
  }
  limit(rows) {
    return this.#set(this.#open.find, "limit", rows);
  }
  skip(rows) {
    return this.#set(this.#open.find, "skip", rows);
  }
  batchSize(rows) {
    return this.#set(this.#open, "batch", rows);
  }
  tail() {
    return this.#set(this.#open, "tail", true);
  }
  noTimeout() {
    return this.#set(this.#open, "no_timeout", true);
  }
  /** `report` or `fetch`. */
  holes(what) {
    return this.#set(this.#open, "holes", what);
  }
  resume(token) {
    this.#set(this.#open, "token", token);
    return this.#set(this.#open, "find", {});
  }

  async #fetch() {
    if (this.#fresh) {
      this.#fresh = false;
      return this.#wakeful.call("cursor.open", this.#open);
    }
    try {
      const more = this.#open.batch ? { batch: this.#open.batch } : {};
      return await this.#wakeful.call("cursor.next", { cursor: this.#cursor, ...more });
    } catch (error) {
      const token = error.reopen ?? this.token;
      if (error.code !== "cursor_not_found" || !token) throw error;
      return this.#wakeful.call("cursor.open", { ...this.#open, find: {}, token });
    }
  }

  async hasNext() {
    while (this.#rows.length === 0) {
      if (!this.#fresh && this.#cursor === null) return false;
      const batch = await this.#fetch();
      this.#cursor = batch.cursor;
      this.#rows = batch.rows.reverse();
      this.notes.push(...(batch.notes ?? []));
      this.waiting = batch.waiting ?? null;
      this.seq ??= batch.seq;
      this.token = batch.token;
      if (this.#rows.length === 0 && this.waiting?.offline) {
        await this.close();
        this.#rows = [{ hole: this.waiting.offline }];
      }
    }
    return true;
  }

  /** The next row, `{message}` or `{hole}`; null when there is no more. */
  async next() {
    return (await this.hasNext()) ? this.#rows.pop() : null;
  }

  async *[Symbol.asyncIterator]() {
    while (await this.hasNext()) yield this.#rows.pop();
  }

  /** Calls `each` with every row until it returns false. */
  async forEach(each) {
    for await (const row of this) if ((await each(row)) === false) break;
  }

  /** All rows; more than `limit` are an error, so that memory stays bounded. */
  async toArray(limit) {
    const rows = [];
    for await (const row of this) {
      if (rows.length === limit) throw new RangeError(`there are more than ${limit} rows`);
      rows.push(row);
    }
    return rows;
  }

  async close() {
    const cursor = this.#cursor;
    this.#cursor = null;
    this.#fresh = false;
    this.#rows = [];
    if (cursor !== null) await this.#wakeful.call("cursor.close", { cursor });
  }
}
