"use strict";
// Looks every two seconds whether the app has approved; without a script the button does.
setTimeout(() => document.forms[0].submit(), 2000);
