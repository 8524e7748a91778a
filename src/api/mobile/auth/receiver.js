
(function () {
  "use strict";
  var origin = document.documentElement.dataset.origin;
  window.addEventListener("message", function (event) {
    // Only what our own window says, and only to the page that was named.
    if (event.origin === location.origin) window.parent.postMessage(event.data, origin);
  });
})();
