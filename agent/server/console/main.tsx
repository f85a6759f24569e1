/** The staff console: sign-in, the menu, and the page that the address's hash names. */

import { effect, signal } from "@preact/signals";
import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import { AnalyticsPage } from "./analytics";
import { attempt, listen, offline, signIn, signOut, staff, trouble } from "./api";
import { ConversationsPage, InboxPage, type News } from "./inbox";
import { CustomersPage, ReviewPage } from "./people";
import { CataloguePage, RulesPage } from "./shop";
import { language, say } from "./words";

const PAGES = ["inbox", "conversations", "analytics", "catalogue", "rules", "review", "customers"] as const;

const address = signal(location.hash);
addEventListener("hashchange", () => {
  address.value = location.hash;
  trouble.value = null;
});
effect(() => {
  document.documentElement.lang = language.value;
  document.title = say("console");
});

function App() {
  return staff.value ? <Console /> : <SignIn />;
}

function LanguageButton() {
  const other = language.value === "en" ? "zh" : "en";
  return (
    <button type="button" class="quiet-button" lang={other} onClick={() => (language.value = other)}>
      {other === "zh" ? "中文" : "English"}
    </button>
  );
}

function SignIn() {
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  return (
    <main class="sign-in">
      <form class="card fields" onSubmit={(event) => { event.preventDefault(); void attempt(() => signIn(name, password)); }}>
        <h1>{say("console")}</h1>
        {trouble.value && (
          <p class="trouble" role="alert">
            {trouble.value}
          </p>
        )}
        <label>
          {say("name")}
          <input required autoComplete="username" value={name} onInput={(event) => setName(event.currentTarget.value)} />
        </label>
        <label>
          {say("password")}
          <input required type="password" autoComplete="current-password" value={password} onInput={(event) => setPassword(event.currentTarget.value)} />
        </label>
        <button type="submit" class="main">
          {say("signIn")}
        </button>
        <LanguageButton />
      </form>
    </main>
  );
}

function Console() {
  const [, page = "inbox", chosen = ""] = address.value.split("/");
  const [inbox, setInbox] = useState(0);
  const [messages, setMessages] = useState<Record<string, number>>({});
  useEffect(() => {
    const leaving = new AbortController();
    listen((name, conversation) => {
      setInbox((before) => before + 1);
      if (name === "message" && conversation) setMessages((before) => ({ ...before, [conversation]: (before[conversation] ?? 0) + 1 }));
    }, leaving.signal);
    return () => leaving.abort();
  }, []);
  // Who takes or closes a conversation changes the list, and what may be done in it.
  const news: News = { inbox, of: (conversation) => inbox + (messages[conversation] ?? 0) };
  const id = chosen ? decodeURIComponent(chosen) : null;
  return (
    <div class="console">
      <header class="side">
        <p class="brand">{say("console")}</p>
        <nav aria-label={say("console")}>
          {PAGES.map((each) => (
            <a key={each} href={`#/${each}`} aria-current={each === page ? "page" : undefined}>
              {say(each)}
            </a>
          ))}
        </nav>
        <p class="me">
          {staff.value!.name} <LanguageButton />
          <button type="button" class="quiet-button" onClick={signOut}>
            {say("signOut")}
          </button>
        </p>
      </header>
      <main>
        {offline.value && <p class="trouble" role="status">{say("offline")}</p>}
        {trouble.value && (
          <p class="trouble" role="alert">
            {trouble.value}
          </p>
        )}
        {page === "inbox" && <InboxPage chosen={id} news={news} />}
        {page === "conversations" && <ConversationsPage chosen={id} news={news} />}
        {page === "analytics" && <AnalyticsPage />}
        {page === "catalogue" && <CataloguePage chosen={id} />}
        {page === "rules" && <RulesPage chosen={id} />}
        {page === "review" && <ReviewPage />}
        {page === "customers" && <CustomersPage />}
      </main>
    </div>
  );
}

render(<App />, document.getElementById("app")!);
