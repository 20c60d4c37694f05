// Starts Swagger UI around our document.
"use strict";

(function () {
  const settings = JSON.parse(document.getElementById("settings").textContent);
  const signIn = window.toolgateSignIn(settings);
  const root = document.getElementById("ui");

  window.toolgateAccess(root);
  window.SwaggerUIBundle({
    dom_id: "#ui",
    url: new URL(settings.document, window.location.href).href,
    oauth2RedirectUrl: signIn.receiver,
    plugins: [signIn.plugin, window.toolgateAnswers(signIn), summaries],
    requestInterceptor: signIn.requestInterceptor,
    validatorUrl: null,
    deepLinking: true,
    tryItOutEnabled: true,
    displayRequestDuration: true,
    defaultModelsExpandDepth: 0,
  });

  // An operation's line is one button that opens it: a link inside would be a control inside a control. The title and
  // the links of the document stand in the page's own header.
  function summaries(system) {
    const element = system.React.createElement;
    const path = () => (props) => {
      const parts = props.operationProps.get("path").split(/(?=\/)/);
      const broken = parts.flatMap((part, index) => (index ? [element("wbr", { key: index }), part] : [part]));
      return element("span", { className: "opblock-summary-path" }, ...broken);
    };
    const info = () => (props) => {
      const about = props.specSelectors.info();
      if (!about || !about.count()) return null;
      const Markdown = system.getComponent("Markdown", true);
      return element(
        "div",
        { className: "info" },
        element(Markdown, { source: about.get("description") }),
        element("p", { className: "version-line" }, "Version " + about.get("version") + ", OpenAPI " + props.specSelectors.specJson().get("openapi")),
      );
    };
    return { wrapComponents: { OperationSummaryPath: path, InfoContainer: info } };
  }
})();
