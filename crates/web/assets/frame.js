// Inside the bank's frame, back on our side: send the whole window on. The link does the same without a script.
(() => {
  "use strict";
  const onward = document.body.dataset.onward;
  if (onward && onward.startsWith("/") && !onward.startsWith("//")) window.top.location.replace(onward);
})();
