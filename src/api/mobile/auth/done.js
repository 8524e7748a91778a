
(function () {
  "use strict";
  var hash = location.hash;
  var data = document.documentElement.dataset;
  var said = { type: "LoginCompleted" };
  try {
    if (hash.indexOf("#token=") === 0) said.oauth = JSON.parse(decodeURIComponent(hash.substring(7)));
    else if (hash.indexOf("#error=") === 0) said.error = decodeURIComponent(hash.substring(7));
    else said.error = "there is no sign-in under way";
  } catch (error) {
    said.error = "the answer cannot be read";
  }
  document.getElementById("said").textContent = said.error
    ? "Signing in did not work: " + said.error
    : "You are signed in. This window can be closed.";
  if (!data.origin || !window.opener) return;
  var message = JSON.stringify(said);
  if (data.kind !== "iframe") {
    window.opener.postMessage(message, data.origin);
    return;
  }
  var receiver = window.opener.frames["zumo-login-receiver"];
  if (receiver) receiver.postMessage(message, location.origin);
})();
