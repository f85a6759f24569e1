"""The same short call in every written form, made to its publisher's schema."""

import json

FORMS: dict[str, str] = {
    "voice.vtt": """WEBVTT - exported

NOTE made by a recorder

STYLE
::cue { color: lime }

1
00:00:00.000 --> 00:00:01.800
<v Anna (Agent)>Harbour and Pine, how can I help?</v>

2
00:02.100 --> 00:00:04.000 align:start
<v.loud Customer>Where is my <i>order</i> 1042 &amp; what now?

00:00:04.500 --> 00:00:03.000
<v Customer>backwards

00:00:04.500 --> 00:00:06.000
<v Agent>It left yesterday.
""",
    "sub.srt": """1
00:00:00,000 --> 00:00:01,800
Agent: Harbour and Pine, how can I help?

2
00:00:02,100 --> 00:00:04,000
Customer: Where is my order 1042
& what now?

3
not a time
Agent: lost

4
00:00:04,500 --> 00:00:06,000
<v Agent>It left yesterday.
""",
    "talk.txt": """# at: 2026-11-20T10:15:00-05:00
# customer: c001
recorded line
[00:00:00] Agent: Harbour and Pine, how can I help?
[00:00:02] Customer: Where is my order 1042
 & what now?
[00:00:04] Agent: It left yesterday.
""",
    "turns.csv": """Speaker;Start_ms;End_ms;Text;Confidence
Agent;0;1800;Harbour and Pine, how can I help?;0.98
Customer;2100;4000;Where is my order 1042 & what now?;0.9
;4100;4200;nobody;
Agent;4500;6000;It left yesterday.;0.97
""",
    "whisperx.json": json.dumps(
        {
            "text": "…",
            "language": "en",
            "segments": [
                {"id": 0, "start": 0.0, "end": 1.8, "text": " Harbour and Pine, how can I help?", "speaker": "SPEAKER_00"},
                {
                    "id": 1,
                    "start": 2.1,
                    "end": 4.0,
                    "text": " Where is my order 1042 & what now?",
                    "avg_logprob": -0.1,
                    "no_speech_prob": 0.01,
                    "speaker": "SPEAKER_01",
                },
                {
                    "id": 2,
                    "start": 4.1,
                    "end": 4.4,
                    "text": " Thanks for watching!",
                    "avg_logprob": -1.4,
                    "no_speech_prob": 0.93,
                },
                {"id": 3, "start": 4.5, "end": 6.0, "text": " It left yesterday.", "speaker": "SPEAKER_00"},
            ],
        }
    ),
    "lens.json": json.dumps(
        {
            "Version": "1.1.0",
            "Channel": "VOICE",
            "LanguageCode": "en-US",
            "Participants": [
                {"ParticipantId": "a-1", "ParticipantRole": "AGENT"},
                {"ParticipantId": "c-1", "ParticipantRole": "CUSTOMER"},
            ],
            "Transcript": [
                {
                    "Id": "1",
                    "ParticipantId": "a-1",
                    "BeginOffsetMillis": 0,
                    "EndOffsetMillis": 1800,
                    "Content": "Harbour and Pine, how can I help?",
                    "Sentiment": "NEUTRAL",
                    "LoudnessScore": [78.6, 75.2],
                },
                {
                    "Id": "2",
                    "ParticipantId": "c-1",
                    "BeginOffsetMillis": 2100,
                    "EndOffsetMillis": 4000,
                    "Content": "Where is my order 1042 & what now?",
                    "Redaction": {"RedactedTimestamps": [{"BeginOffsetMillis": 2200, "EndOffsetMillis": 2300}]},
                },
                {"Id": "3", "ParticipantId": "x-9", "BeginOffsetMillis": 4100, "EndOffsetMillis": 4200, "Content": "Stranger"},
                {
                    "Id": "4",
                    "ParticipantId": "a-1",
                    "BeginOffsetMillis": 4500,
                    "EndOffsetMillis": 6000,
                    "Content": "It left yesterday.",
                },
            ],
        }
    ),
    "transcribe.json": json.dumps(
        {
            "jobName": "job",
            "accountId": "111122223333",
            "status": "COMPLETED",
            "results": {
                "transcripts": [{"transcript": "…"}],
                "channel_labels": {
                    "number_of_channels": 2,
                    "channels": [
                        {
                            "channel_label": "ch_0",
                            "items": [
                                *(
                                    {
                                        "channel_label": "ch_0",
                                        "start_time": f"{0.3 * i:.2f}",
                                        "end_time": f"{0.3 * i + 0.25:.2f}",
                                        "alternatives": [{"confidence": "0.99", "content": word}],
                                        "type": "pronunciation",
                                    }
                                    for i, word in enumerate("Harbour and Pine how can I help".split())
                                ),
                                {
                                    "channel_label": "ch_0",
                                    "alternatives": [{"confidence": "0.0", "content": "?"}],
                                    "type": "punctuation",
                                },
                                *(
                                    {
                                        "channel_label": "ch_0",
                                        "start_time": f"{4.5 + 0.3 * i:.2f}",
                                        "end_time": f"{4.75 + 0.3 * i:.2f}",
                                        "alternatives": [{"confidence": "0.99", "content": word}],
                                        "type": "pronunciation",
                                    }
                                    for i, word in enumerate("It left yesterday".split())
                                ),
                            ],
                        },
                        {
                            "channel_label": "ch_1",
                            "items": [
                                *(
                                    {
                                        "channel_label": "ch_1",
                                        "start_time": f"{2.1 + 0.2 * i:.2f}",
                                        "end_time": f"{2.25 + 0.2 * i:.2f}",
                                        "alternatives": [{"confidence": "0.9", "content": word}],
                                        "type": "pronunciation",
                                    }
                                    for i, word in enumerate("Where is my order 1042 & what now".split())
                                ),
                                {
                                    "channel_label": "ch_1",
                                    "alternatives": [{"confidence": "0.0", "content": "?"}],
                                    "type": "punctuation",
                                },
                                {"channel_label": "ch_1", "start_time": "4.0", "alternatives": [], "type": "pronunciation"},
                            ],
                        },
                    ],
                },
            },
        }
    ),
    "twilio.json": json.dumps(
        {
            "transcript": {
                "sid": "GT0123",
                "media_start_time": "2026-11-20T15:15:00Z",
                "channel": {
                    "type": "voice",
                    "participants": [
                        {"channel_participant": 1, "role": "Agent", "full_name": "Anna"},
                        {"channel_participant": 2, "role": "Customer"},
                    ],
                },
            },
            "sentences": [
                {
                    "media_channel": 1,
                    "sentence_index": 0,
                    "start_time": "0.0",
                    "end_time": "1.8",
                    "transcript": "Harbour and Pine, how can I help?",
                    "confidence": "0.98",
                    "sid": "GX0",
                },
                {
                    "media_channel": 2,
                    "sentence_index": 1,
                    "start_time": "2.1",
                    "end_time": "4.0",
                    "transcript": "Where is my order 1042 & what now?",
                    "confidence": "0.91",
                    "sid": "GX1",
                },
                {"media_channel": 2, "sentence_index": 2, "start_time": "4.1", "end_time": "4.2", "transcript": None},
                {
                    "media_channel": 1,
                    "sentence_index": 3,
                    "start_time": "4.5",
                    "end_time": "6.0",
                    "transcript": "It left yesterday.",
                },
            ],
        }
    ),
    "own.yaml": """at: 2026-11-20T10:15:00-05:00
customer: c001
utterances:
  - {speaker: agent, start_ms: 0, end_ms: 1800, text: "Harbour and Pine, how can I help?"}
  - {speaker: customer, start_ms: 2100, end_ms: 4000, text: "Where is my order 1042 & what now?", channel: 1, confidence: 0.91}
  - {speaker: parrot, text: "hello"}
  - {speaker: agent, start_ms: 4500, end_ms: 6000, text: "It left yesterday."}
expect: {tools: [track_order]}
""",
}
"""File name and content; each has one thing in it that cannot be used."""
