"""Database files for tests, and their contents without a process of its own."""

import itertools

import msgspec

from listener.workbench.dbc_reading import describe
from listener.workbench.descriptions import FileContents, MessageDescription

BENCH = """VERSION "1"

NS_ :

BS_:

BU_: Inverter Battery Tester

BO_ 256 Motor: 8 Inverter
 SG_ Speed : 0|16@1- (0.1,0) [-3000|3000] "rpm" Tester
 SG_ Torque : 23|12@0+ (0.5,-100) [-100|1900] "Nm" Tester
 SG_ Mode : 32|4@1+ (1,0) [0|15] "" Tester
 SG_ Temperature : 40|8@1+ (1,-40) [-40|215] "°C" Tester

BO_ 512 Cells: 8 Battery
 SG_ Page M : 0|8@1+ (1,0) [0|3] "" Tester
 SG_ Cell1 m0 : 8|16@1+ (0.001,0) [0|5] "V" Tester
 SG_ Cell2 m0 : 24|16@1+ (0.001,0) [0|5] "V" Tester
 SG_ Thermistor1 m1 : 8|8@1- (1,0) [0|0] "°C" Tester
 SG_ Health : 56|8@1+ (0.5,0) [0|100] "%" Tester

BO_ 2566844672 Vehicle: 8 Vector__XXX
 SG_ VehicleSpeed : 8|16@1+ (0.00390625,0) [0|250.996] "km/h" Tester

BO_ 2147483904 Extended100: 2 Inverter
 SG_ Counter : 0|16@1+ (1,0) [0|65535] "" Tester

BO_ 768 Fast: 64 Battery
 SG_ First : 0|32@1- (1,0) [0|0] "" Tester
 SG_ Last : 480|32@1- (1,0) [0|0] "A" Tester

BA_DEF_ BO_ "GenMsgCycleTime" INT 0 65535;
BA_DEF_ BO_ "VFrameFormat" ENUM FRAME_FORMATS;
BA_DEF_ SG_ "GenSigStartValue" FLOAT 0 1000000;
BA_DEF_DEF_ "GenMsgCycleTime" 0;
BA_DEF_DEF_ "VFrameFormat" "StandardCAN";
BA_DEF_DEF_ "GenSigStartValue" 0;
BA_ "GenMsgCycleTime" BO_ 256 20;
BA_ "VFrameFormat" BO_ 2566844672 3;
BA_ "VFrameFormat" BO_ 2147483904 1;
BA_ "VFrameFormat" BO_ 768 14;
BA_ "GenSigStartValue" SG_ 256 Temperature 65;
CM_ BO_ 256 "What the inverter measures";
VAL_ 256 Mode 0 "Off" 1 "On" 2 "Fault" ;
SIG_VALTYPE_ 768 Last : 1;
""".replace(
    "FRAME_FORMATS",
    ",".join(
        f'"{name}"'
        for name in [
            *("StandardCAN", "ExtendedCAN", "reserved", "J1939PG"),
            *(f"reserved{number}" for number in range(4, 14)),
            *("StandardCAN_FD", "ExtendedCAN_FD"),
        ]
    ),
)

KCD = """<?xml version="1.0" encoding="UTF-8"?>
<NetworkDefinition xmlns="http://kayak.2codeornot2code.org/1.0">
 <Document name="bench" version="1"/>
 <Bus name="bench">
  <Message id="0x321" name="Pressure" length="4" interval="100">
   <Signal name="Oil" offset="0" length="16"><Value slope="0.01" intercept="-1" unit="bar"/></Signal>
  </Message>
 </Bus>
</NetworkDefinition>
"""

SYM = """FormatVersion=6.0 // Do not edit this line!
Title="bench"

{SIGNALS}
Sig="Current" unsigned 16 /u:"mA" /f:0.5

{SENDRECEIVE}
["Valve"]
ID=123h
Len=8
CycleTime=50
Sig="Current" 0
"""


def contents(text: str, file_format: str = "dbc", name: str = "bench.dbc") -> FileContents:
    header, *lines = describe(text.encode(), file_format)
    messages = tuple(msgspec.json.decode(line, type=MessageDescription) for line in lines)
    return FileContents(name, messages, msgspec.json.decode(header)["warning"])


def large(messages: int, signals: int = 10) -> str:
    return "\n".join(
        itertools.chain.from_iterable(
            [
                f"BO_ {2**31 + number} M{number}: 8 A",
                *(f' SG_ S{number}_{i} : {6 * i}|6@1+ (0.1,{i}) [0|100] "V" B' for i in range(signals)),
                "",
            ]
            for number in range(messages)
        )
    )
