"""A language model in a customer's place, where one is configured: it gets a goal and facts, and plays them.

It is another model than the agent's, or the results say nothing. What it invents is its own mistake and is counted as such.
"""

import re
from collections.abc import Mapping

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage

from agent.events import Turn
from agent.turn import Message
from tools.shop.types import Language

DONE = "###DONE###"
"""What the model writes when its goal is reached or given up."""
_RULES = {
    "en": (
        "You are a customer who writes to an online shop. Your goal: {goal}\nWhat you know, and nothing else: {facts}\n"
        "Write one short message at a time, in your own words. Never tell your whole goal at once. Never make up numbers, names or "
        "products; if asked for something that you do not know, say so. Agree to an offer only if it is exactly your goal. "
        f"When the shop has confirmed that it is done, or it cannot be had, write {DONE} and nothing else."
    ),
    "zh": (
        "你是一位正在联系网店客服的顾客。你的目标：{goal}\n你只知道这些：{facts}\n"
        "每次只写一条简短的消息，用自己的话。不要一次说出全部目标。不要编造数字、姓名或商品；被问到不知道的事就说不知道。"
        f"只有方案完全符合目标时才同意。商家确认办好，或确实办不到时，只写 {DONE}。"
    ),
}


class ModelCustomer:
    """Plays a goal with a chat model. `mistakes` are numbers that it said and nobody had told it."""

    def __init__(self, model: BaseChatModel, goal: str, facts: Mapping[str, str], language: Language = "en") -> None:
        self._model = model
        known = "; ".join(f"{name}: {value}" for name, value in facts.items()) or "-"
        self._messages: list[BaseMessage] = [SystemMessage(_RULES[language].format(goal=goal, facts=known))]
        self._known = f"{goal} {known}"
        self.mistakes: list[str] = []

    def next(self, turn: Turn | None) -> Message | None:
        """The model's next message; None when it is done, or a person has taken over."""
        if turn is not None and (turn.held or turn.handoff is not None):
            return None
        # For the model the shop is who it talks to.
        said = turn.reply if turn is not None else "…"
        self._known += f" {said}"
        self._messages.append(HumanMessage(said))
        answer = self._model.invoke(self._messages).text.strip()
        if DONE in answer or not answer:
            return None
        self._messages.append(AIMessage(answer))
        self.mistakes += [f"made up {number}" for number in re.findall(r"\d{3,}", answer) if number not in self._known]
        return Message(text=answer)
