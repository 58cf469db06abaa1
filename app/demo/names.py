"""Invented people: names, identity cards with made-up sequence numbers, addresses and telephone numbers, from a seeded source of chance."""
from __future__ import annotations

from datetime import date, timedelta
from random import Random

from app.mapping.chinese import card_check

SURNAMES = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程魏苏吕丁任沈姚卢姜崔钟谭陆汪范金石廖贾夏韦方白邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤"
DOUBLE = ("欧阳", "上官", "司马", "诸葛", "皇甫")
GIVEN = {"male": "伟强磊军洋勇杰涛明超刚平辉鹏华飞鑫波斌宇浩凯健俊帆志国建文博海峰永安庆林栋诚毅",
         "female": "芳娜敏静丽艳娟霞秀英慧巧美玲玉萍红月桂兰洁梅琳素云莲真雪荣爱妹香莹媛瑞凡佳嘉琼"}
RARE = ("䶮", "㐱", "𠅤", "喆", "堃", "玥", "𣲘", "犇")
"""Characters that GBK does not have, or that old systems lose: 䶮 and what takes four bytes of GB18030."""
MINORITY = (("藏族", "male", "扎西·多吉"), ("藏族", "female", "卓玛·央金"), ("维吾尔族", "female", "阿依古丽·买买提"), ("维吾尔族", "male", "阿卜杜拉·艾力"),
            ("哈萨克族", "male", "叶尔兰·巴合提"), ("藏族", "male", "次仁·旺堆"), ("回族", "male", "马成林"), ("蒙古族", "female", "其其格·乌云"), ("撒拉族", "female", "韩阿娜"))
ROADS = ("中山路", "人民路", "解放路", "和平路", "建设路", "新华路", "文化路", "永安路", "清河路", "城中路", "桃浦路", "长寿路", "康定路", "延长路", "五一路")


def name(chance: Random, sex: str) -> str:
    """A Han name; one in forty has a rare character, one in sixty a compound surname."""
    surname = chance.choice(DOUBLE) if chance.random() < 1 / 60 else chance.choice(SURNAMES)
    given = "".join(chance.choice(GIVEN[sex]) for _ in range(1 if chance.random() < 0.3 else 2))
    return surname + (given[:-1] + chance.choice(RARE) if chance.random() < 1 / 40 else given)


def birth(chance: Random, youngest: date, oldest: date) -> date:
    return oldest + timedelta(days=chance.randrange((youngest - oldest).days))


def card(chance: Random, region: str, born: date, sex: str) -> str:
    """A number that is valid by GB 11643, its sequence made up: odd for men, even for women."""
    first = f"{region}{born:%Y%m%d}{chance.randrange(1, 499) * 2 + (sex == 'male'):03d}"
    return first + card_check(first)


def phone(chance: Random) -> str:
    """A number of the 1700 range, as invented ones."""
    return f"1700000{chance.randrange(10_000):04d}"


def street(chance: Random) -> str:
    return f"{chance.choice(ROADS)}{chance.randrange(1, 999)}弄{chance.randrange(1, 60)}号{chance.randrange(101, 1802)}室"
