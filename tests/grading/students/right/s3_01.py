import numpy as np

def init_params(nx, nh, ny):
    return {'Wh': 0.3 * np.random.randn(nh, nx), 'bh': np.zeros((nh, 1)),
            'Wy': 0.3 * np.random.randn(ny, nh), 'by': np.zeros((ny, 1))}

def forward(params, X):
    rows = []
    for x in X:
        ht = [sum(params['Wh'][j, i] * x[i] for i in range(len(x))) + params['bh'][j, 0] for j in range(params['Wh'].shape[0])]
        h = [np.tanh(v) for v in ht]
        yt = [sum(params['Wy'][k, j] * h[j] for j in range(len(h))) + params['by'][k, 0] for k in range(params['Wy'].shape[0])]
        m = max(yt)
        e = [np.exp(v - m) for v in yt]
        rows.append((ht, h, yt, [v / sum(e) for v in e]))
    outs = [np.array(c) for c in zip(*rows)]
    outputs = dict(zip(['htilde', 'h', 'ytilde', 'yhat'], outs))
    outputs['X'] = X
    return outputs['yhat'], outputs

def loss_accuracy(Yhat, Y):
    n = Y.shape[0]
    idx = np.argmax(Y, axis=1)
    L = -np.mean(np.log(Yhat[np.arange(n), idx]))
    acc = 100 * np.mean(np.argmax(Yhat, axis=1) == idx)
    return L, acc

def backward(params, outputs, Y):
    n = len(Y)
    dWy = sum(np.outer(outputs['yhat'][i] - Y[i], outputs['h'][i]) for i in range(n)) / n
    dby = sum((outputs['yhat'][i] - Y[i])[:, None] for i in range(n)) / n
    back = [(outputs['yhat'][i] - Y[i]) @ params['Wy'] * (1 - outputs['h'][i] ** 2) for i in range(n)]
    dWh = sum(np.outer(b, x) for b, x in zip(back, outputs['X'])) / n
    dbh = sum(b[:, None] for b in back) / n
    return {'Wh': dWh, 'bh': dbh, 'Wy': dWy, 'by': dby}

def sgd(params, grads, eta):
    return {k: params[k] - eta * grads[k] for k in params}
