// ethers: deploy, send, wait, call, estimate, logs, revert, several in flight, subscribe. One JSON object on standard output.
import { readFileSync } from "node:fs";
import { ContractFactory, JsonRpcProvider, NonceManager, Wallet, WebSocketProvider } from "ethers";

const { url, wsUrl, key, artefact, payee, zeroFees } = JSON.parse(process.argv[2]);
const { abi, bytecode } = JSON.parse(readFileSync(artefact, "utf8"));
const fees = zeroFees ? { maxFeePerGas: 0n, maxPriorityFeePerGas: 0n } : {};

const provider = new JsonRpcProvider(url);
const sockets = new WebSocketProvider(wsUrl);
const wallet = new NonceManager(new Wallet(key, provider));
const owner = await wallet.getAddress();

const blocks = [];
await sockets.on("block", (number) => blocks.push(number));

const token = await new ContractFactory(abi, bytecode, wallet).deploy("Token", "TOK", 1_000_000n, fees);
await token.waitForDeployment();
const address = await token.getAddress();

const seen = [];
const live = new token.constructor(address, abi, sockets);
await live.on("Transfer", (from, to, value, event) => seen.push([value.toString(), event.log.index]));

const sent = [];
for (const amount of [1n, 2n, 3n, 4n, 5n]) sent.push(await token.transfer(payee, amount, fees));
const receipts = await Promise.all(sent.map((each) => each.wait()));

let revert = null;
try {
    await token.transfer.staticCall(payee, 10_000_000n);
} catch (error) {
    revert = [error.code, error.revert?.name, error.revert?.args.map(String)];
}

const deadline = Date.now() + 10_000;
while ((seen.length < 5 || blocks.length < 1) && Date.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 20));
}
const fee = await provider.getFeeData();
const block = await provider.getBlock(receipts[0].blockNumber, true);
console.log(JSON.stringify({
    chainId: (await provider.getNetwork()).chainId.toString(),
    statuses: receipts.map((each) => each.status),
    types: receipts.map((each) => each.type),
    balance: (await token.balanceOf(payee)).toString(),
    estimateIsEnough: (await token.transfer.estimateGas(payee, 1n)) >= 21_000n,
    logs: (await token.queryFilter("Transfer")).map((each) => each.args.value.toString()),
    live: seen.map(([value]) => value),
    sawBlocks: blocks.length > 0,
    revert,
    gasPrice: fee.gasPrice?.toString(),
    blockHoldsIt: block.prefetchedTransactions.some((each) => each.hash === sent[0].hash && each.from === owner),
    code: (await provider.getCode(address)).length > 2,
    nonce: await provider.getTransactionCount(owner, "pending"),
}));
await sockets.destroy();
provider.destroy();
