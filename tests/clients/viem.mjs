// viem: deploy, send, wait, call, estimate, logs, revert, proof, subscribe. One JSON object on standard output.
import { readFileSync } from "node:fs";
import {
    BaseError, ContractFunctionRevertedError, createPublicClient, createWalletClient, defineChain, http, webSocket,
} from "viem";
import { nonceManager, privateKeyToAccount } from "viem/accounts";

const { url, wsUrl, key, artefact, payee, zeroFees } = JSON.parse(process.argv[2]);
const { abi, bytecode } = JSON.parse(readFileSync(artefact, "utf8"));
const fees = zeroFees ? { maxFeePerGas: 0n, maxPriorityFeePerGas: 0n } : {};

const account = privateKeyToAccount(key, { nonceManager });
const id = await createPublicClient({ transport: http(url) }).getChainId();
const chain = defineChain({
    id, name: "Corridor", nativeCurrency: { name: "Coin", symbol: "COIN", decimals: 18 }, rpcUrls: { default: { http: [url] } },
});
const reader = createPublicClient({ chain, transport: http(url), pollingInterval: 50 });
const sockets = createPublicClient({ chain, transport: webSocket(wsUrl) });
const wallet = createWalletClient({ account, chain, transport: http(url) });

const heads = [];
const unwatchBlocks = sockets.watchBlocks({ onBlock: (block) => heads.push(block.number) });

const created = await wallet.deployContract({ abi, bytecode, args: ["Token", "TOK", 1_000_000n], ...fees });
const { contractAddress: address } = await reader.waitForTransactionReceipt({ hash: created });

const live = [];
const unwatch = sockets.watchContractEvent({
    address, abi, eventName: "Transfer", onLogs: (logs) => live.push(...logs.map((log) => log.args.value.toString())),
});
// The subscription is answered before the first transfer is sent.
await sockets.getBlockNumber();

const token = { address, abi };
const hashes = [];
for (const amount of [1n, 2n, 3n, 4n, 5n]) {
    hashes.push(await wallet.writeContract({ ...token, functionName: "transfer", args: [payee, amount], ...fees }));
}
const receipts = await Promise.all(hashes.map((hash) => reader.waitForTransactionReceipt({ hash })));

let revert = null;
try {
    await reader.simulateContract({ ...token, functionName: "transfer", args: [payee, 10_000_000n], account });
} catch (error) {
    const reason = error instanceof BaseError ? error.walk((each) => each instanceof ContractFunctionRevertedError) : null;
    revert = reason?.data?.errorName;
}

const deadline = Date.now() + 10_000;
while ((live.length < 5 || heads.length < 1) && Date.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 20));
}
unwatch();
unwatchBlocks();
const logs = await reader.getContractEvents({ ...token, eventName: "Transfer", fromBlock: 0n });
const proof = await reader.getProof({ address, storageKeys: [`0x${"00".repeat(31)}02`] });
const history = await reader.getFeeHistory({ blockCount: 2, rewardPercentiles: [50] });
console.log(JSON.stringify({
    chainId: id.toString(),
    statuses: receipts.map((each) => each.status),
    types: receipts.map((each) => each.type),
    balance: (await reader.readContract({ ...token, functionName: "balanceOf", args: [payee] })).toString(),
    logs: logs.map((log) => log.args.value.toString()),
    live,
    sawBlocks: heads.length > 0,
    revert,
    provenSupply: proof.storageProof[0].value.toString(),
    proofNodes: proof.accountProof.length > 0 && proof.storageProof[0].proof.length > 0,
    baseFees: history.baseFeePerGas.map(String),
    nonce: await reader.getTransactionCount({ address: account.address, blockTag: "pending" }),
}));
process.exit(0);
