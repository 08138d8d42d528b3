// Gives the keys to the terminal, and says what to do once its connection has ended.

const EVERY_MS = 2000;
const OK = 200;
const FORBIDDEN = 403;
const SILENT =
  "The server of this dashboard does not answer. " +
  "Start it with delta dash --serve, and open the address that it prints.";
const STARTED_AGAIN =
  "The server was started again: open its new address, which delta dash --serve printed.";
const words = document.getElementById("ended-words");
const again = document.getElementById("again");

// The class of the body is what textual.js says: -loaded once there is a connection, -closed once it
// has ended.
function is(state) {
  return document.body.classList.contains(state);
}

function focusTerminal() {
  document.querySelector(".xterm-helper-textarea")?.focus();
}

// The status of its answer; nothing when there is none.
async function statusOfServer() {
  try {
    return (await fetch("/", { cache: "no-store" })).status;
  } catch {
    return null;
  }
}

// A server that answers has ended this dashboard alone, as its key q does.
async function tellWhy() {
  const status = await statusOfServer();
  if (status === OK) {
    words.textContent = "This dashboard has ended.";
    again.hidden = false;
    again.focus();
  } else {
    waitAfter(status);
  }
}

// Each start has a secret of its own: this page goes on once another tab has brought the new one.
function waitAfter(status) {
  words.textContent = status === FORBIDDEN ? STARTED_AGAIN : SILENT;
  setTimeout(goOn, EVERY_MS);
}

async function goOn() {
  const status = await statusOfServer();
  if (status === OK) {
    location.reload();
  } else {
    waitAfter(status);
  }
}

function tellEnd() {
  again.hidden = true;
  words.textContent = "The connection has ended.";
  // A server that is ending still answers for a moment.
  setTimeout(tellWhy, 1000);
}

function watch(_changes, observer) {
  if (is("-closed")) {
    observer.disconnect();
    tellEnd();
  } else if (is("-loaded")) {
    focusTerminal();
  }
}

again.addEventListener("click", () => location.reload());
window.addEventListener("focus", () => is("-loaded") && !is("-closed") && focusTerminal());
new MutationObserver(watch).observe(document.body, { attributeFilter: ["class"] });
