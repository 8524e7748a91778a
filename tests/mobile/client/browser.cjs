// As much of a browser as the client wants: XMLHttpRequest over fetch, and a window whose popups go the way of a sign-in
// by real requests and then run the script of the page on which it ends.
const vm = require("node:vm");

global.XMLHttpRequest = class {
  constructor() {
    this.withCredentials = false;
    this.readyState = 0;
    this.headers = {};
  }
  open(method, url) {
    Object.assign(this, { method, url });
  }
  setRequestHeader(name, value) {
    this.headers[name] = value;
  }
  getResponseHeader(name) {
    return this.response.headers.get(name);
  }
  async send(body) {
    try {
      const init = { method: this.method, headers: this.headers, redirect: "manual", body: body ?? undefined };
      this.response = await fetch(this.url, init);
      this.responseText = await this.response.text();
      this.status = this.response.status;
      this.statusText = this.response.statusText;
    } catch (error) {
      this.status = 0;
      this.responseText = "";
      this.statusText = String(error.cause ?? error);
    }
    this.readyState = 4;
    this.onreadystatechange?.();
  }
};

// What the scripts of a page say at its end; `element` is what the page's <html> carries.
function run(html, { window, url }) {
  const element = Object.fromEntries(
    [...(html.match(/<html[^>]*>/)?.[0] ?? "").matchAll(/data-(\w+)="([^"]*)"/g)].map((match) => [match[1], match[2]]),
  );
  const document = { documentElement: { dataset: element }, getElementById: () => ({}) };
  const location = { hash: url.hash, origin: url.origin };
  for (const [, script] of html.matchAll(/<script>([^]*?)<\/script>/g)) {
    vm.runInNewContext(script, { document, window, location, JSON, decodeURIComponent });
  }
}

const listeners = new Set();
// Frames of the page, by name.
const frames = {};
const page = "https://app.example.com/index.html";

// A popup: follows redirects as a browser does, with its cookies, and tells its opener what the last page's script says.
function open(start) {
  const popup = { closed: false, close: () => (popup.closed = true), visited: [] };
  const tell = (data, origin) => {
    popup.told = origin;
    for (const listener of listeners) listener({ source: popup, data });
  };
  const go = async () => {
    const cookies = new Map();
    let url = new URL(start);
    for (;;) {
      popup.visited.push(url.href);
      const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join("; ");
      const headers = { "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", ...(cookie && { cookie }) };
      const response = await fetch(url, { redirect: "manual", headers });
      for (const set of response.headers.getSetCookie()) {
        const [name, value] = set.split(";")[0].split("=");
        cookies.set(name, value);
      }
      const next = response.headers.get("location");
      if (next) {
        url = new URL(next, url);
        continue;
      }
      const opener = { postMessage: tell, frames };
      run(await response.text(), { window: { opener }, url });
      return;
    }
  };
  go().catch((error) => tell(JSON.stringify({ type: "LoginCompleted", error: String(error.cause ?? error) }), "*"));
  open.last = popup;
  return popup;
}

// As much of a page as the client makes: links that it takes apart, and a frame whose page is loaded and run.
class Frame {
  constructor() {
    this.style = {};
    this.contentWindow = {};
    this.parentNode = { removeChild: () => delete frames[this.name] };
  }
  setAttribute() {}
  load() {
    const loaded = (async () => {
      const url = new URL(this.src);
      const heard = [];
      const parent = {
        postMessage: (data, origin) => {
          open.last.told = origin;
          for (const listener of listeners) listener({ source: this.contentWindow, data });
        },
      };
      const response = await fetch(url);
      run(await response.text(), { window: { parent, addEventListener: (_, listener) => heard.push(listener) }, url });
      return { url, heard };
    })();
    frames[this.name] = {
      postMessage: async (data, origin) => {
        const { url, heard } = await loaded;
        if (origin === url.origin) for (const listener of heard) listener({ origin, data });
      },
    };
  }
}

class Link {
  set href(text) {
    Object.assign(this, { url: new URL(text, page) });
  }
  get href() {
    return this.url.href;
  }
  get protocol() {
    return this.url.protocol;
  }
  get hostname() {
    return this.url.hostname;
  }
  get port() {
    return this.url.port;
  }
}

global.document = {
  createElement: (kind) => (kind === "iframe" ? new Frame() : new Link()),
  body: { appendChild: (frame) => frame.load() },
};

global.window = {
  location: { href: page },
  navigator: { userAgent: "a browser" },
  open,
  addEventListener: (_, listener) => listeners.add(listener),
  removeEventListener: (_, listener) => listeners.delete(listener),
  setInterval: (...args) => setInterval(...args),
  clearInterval: (...args) => clearInterval(...args),
};
global.open = open;
module.exports = { open };
