// widget/live/live.ts
async function e(e, t, n) {
	let r = await navigator.mediaDevices.getUserMedia({ audio: {
		echoCancellation: !0,
		noiseSuppression: !0,
		channelCount: 1
	} }), i = new AudioContext(), a = () => {
		for (let e of r.getTracks()) e.stop();
		i.close();
	};
	try {
		await i.audioWorklet.addModule(`${e}/widget-microphone.js`);
	} catch (e) {
		throw a(), e;
	}
	let o = new WebSocket(`${e.replace(/^http/, "ws")}/v1/live`);
	o.binaryType = "arraybuffer";
	let s = !1, c = (e) => {
		s || (s = !0, a(), o.close(), e === null ? n.failed() : n.final(e));
	}, l = new AudioWorkletNode(i, "storehand-microphone", { numberOfOutputs: 0 });
	o.onopen = () => o.send(JSON.stringify({ session: t })), o.onclose = () => c(null), o.onmessage = ({ data: e }) => {
		let t = JSON.parse(e);
		t.type === "ready" ? (l.port.onmessage = (e) => {
			o.readyState === WebSocket.OPEN && !u && o.send(e.data);
		}, i.createMediaStreamSource(r).connect(l), i.resume()) : t.type === "partial" ? n.partial(t.text, t.settled) : t.type === "final" && c(t.text);
	};
	let u = !1;
	return {
		end() {
			u = !0, o.readyState === WebSocket.OPEN ? o.send(JSON.stringify({ type: "end" })) : c(null);
		},
		cancel() {
			s || (s = !0, a(), o.readyState === WebSocket.OPEN && o.send(JSON.stringify({ type: "cancel" })), o.close());
		}
	};
}
var t = /^[\s\S]*?(?:[.!?](?=\s)|[。！？；]|\n+)/;
async function n(e, n, i) {
	let a = new AudioContext();
	i.addEventListener("abort", () => void a.close(), { once: !0 });
	let o = 0, s = Promise.resolve();
	for (; !i.aborted;) {
		let { text: c, open: l } = n(), u = c.slice(o), d = t.exec(u)?.[0] ?? (l ? "" : u);
		if (!d) {
			if (!l) break;
			await new Promise((e) => setTimeout(e, 150));
			continue;
		}
		o += d.length;
		let f = d.trim() ? await e(d.trim().slice(0, 600)) : null;
		await s, f && !i.aborted && (s = r(a, await a.decodeAudioData(f), i));
	}
	await s, i.aborted || await a.close();
}
function r(e, t, n) {
	let r = new AudioBufferSourceNode(e, { buffer: t });
	return r.connect(e.destination), new Promise((e) => {
		r.onended = () => e(), n.addEventListener("abort", () => e(), { once: !0 }), r.start();
	});
}
export { e as dictate, n as readAloud };
