// Gives the keys to the terminal, and says what to do once its connection has ended.

const EVERY_MS = 2000;
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

async function isServed() {
  try {
    return (await fetch("/", { cache: "no-store" })).ok;
  } catch {
    return false;
  }
}

// A server that answers has ended this dashboard alone, as its key q does.
async function tellWhy() {
  if (await isServed()) {
    words.textContent = "This dashboard has ended.";
    again.hidden = false;
    again.focus();
  } else {
    words.textContent =
      "The server of this dashboard does not answer. " +
      "Start it with delta dash --serve: this page goes on by itself.";
    setTimeout(goOn, EVERY_MS);
  }
}

async function goOn() {
  if (await isServed()) {
    location.reload();
  } else {
    setTimeout(goOn, EVERY_MS);
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
